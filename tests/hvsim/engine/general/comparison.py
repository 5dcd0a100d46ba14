"""How PowerShell compares two values: without case, numbers with the texts that write them, enums with their names."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tests.hvsim.engine.values import EnumValue, Noted
from tests.hvsim.values import Version, net_text


def plain(value: object) -> object:
    """A value without its note properties."""
    return value.value if isinstance(value, Noted) else value


def equal(left: object, right: object) -> bool:
    """``left -eq right``: the right side becomes what the left one is."""
    return compare(left, right) == 0


def compare(left: object, right: object) -> int:
    """Less than 0, 0, or more, as `left` is before, like or after `right`."""
    left, right = plain(left), plain(right)
    if left is None or right is None:
        return (left is not None) - (right is not None)
    if isinstance(left, EnumValue):
        return _order(left.number, _as_number(left, right))
    if isinstance(right, EnumValue):
        return (
            _order(net_text(left).casefold(), right.name.casefold()) if isinstance(left, str) else -compare(right, left)
        )
    if isinstance(left, str):
        return _order(left.casefold(), net_text(right).casefold())
    if isinstance(left, bool):
        return _order(left, _truth(right))
    converted = _like(left, right)
    if converted is None:
        return _order(net_text(left).casefold(), net_text(right).casefold())
    return _order(left, converted)


def like(value: object, pattern: object) -> bool:
    """``value -like pattern``."""
    return wildcard(net_text(pattern)).fullmatch(net_text(plain(value))) is not None


@lru_cache(4096)
def wildcard(pattern: str) -> re.Pattern[str]:
    """A PowerShell wildcard: ``*``, ``?``, ``[a-z]``, and a backtick before what is meant as it is."""
    parts = []
    for token in re.findall(r"`.|\[[^\]]+\]|.", pattern, re.DOTALL):
        if len(token) > 1 and token[0] == "`":
            parts.append(re.escape(token[1]))
        elif len(token) > 1:
            parts.append("[" + token[1:-1].replace("\\", "\\\\").replace("^", "\\^") + "]")
        else:
            parts.append({"*": ".*", "?": "."}.get(token, re.escape(token)))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def matches(value: object, pattern: object) -> bool:
    """``value -match pattern``."""
    return re.search(net_text(pattern), net_text(plain(value)), re.IGNORECASE) is not None


def contained(value: object, among: object) -> bool:
    """``value -in among``."""
    entries = among if isinstance(among, (list, tuple)) else [among]
    return any(equal(entry, value) for entry in entries)


OPERATORS: dict[str, Callable[[object, object], bool]] = {
    "EQ": equal,
    "NE": lambda left, right: not equal(left, right),
    "GT": lambda left, right: compare(left, right) > 0,
    "GE": lambda left, right: compare(left, right) >= 0,
    "LT": lambda left, right: compare(left, right) < 0,
    "LE": lambda left, right: compare(left, right) <= 0,
    "Like": like,
    "NotLike": lambda left, right: not like(left, right),
    "Match": matches,
    "NotMatch": lambda left, right: not matches(left, right),
    "In": contained,
    "NotIn": lambda left, right: not contained(left, right),
    "Contains": lambda left, right: contained(right, left),
    "NotContains": lambda left, right: not contained(right, left),
}
"""The comparison parameters of Where-Object."""


def truth(value: object) -> bool:
    """Whether PowerShell takes the value for true."""
    return _truth(plain(value))


def _truth(value: object) -> bool:
    if isinstance(value, EnumValue):
        return value.number != 0
    if isinstance(value, list) and len(value) == 1:
        return _truth(value[0])
    return bool(value)


def _as_number(of: EnumValue, value: object) -> int:
    if isinstance(value, EnumValue):
        return value.number
    text = net_text(value)
    if text.casefold() == of.name.casefold():
        return of.number
    return int(text) if re.fullmatch(r"-?\d+", text) else of.number - 1


def _like(left: object, right: object) -> object:
    """`right` as the type of `left`; None when it cannot be one."""
    try:
        if isinstance(left, int) and isinstance(right, (int, float)):
            return right
        if isinstance(left, (int, float)):
            return float(net_text(right)) if isinstance(left, float) or "." in net_text(right) else int(net_text(right))
        if isinstance(left, uuid.UUID):
            return uuid.UUID(net_text(right))
        if isinstance(left, Version):
            return Version(tuple(int(part) for part in net_text(right).split(".")))
        if isinstance(left, datetime.datetime) and isinstance(right, datetime.datetime):
            return right if (left.tzinfo is None) == (right.tzinfo is None) else right.replace(tzinfo=left.tzinfo)
    except ValueError:
        return None
    return right if type(left) is type(right) else None


def _order(left: Any, right: Any) -> int:
    if isinstance(left, Version):
        left, right = left.parts, right.parts
    if left == right:
        return 0
    try:
        return -1 if left < right else 1
    except TypeError:
        return -1 if net_text(left) < net_text(right) else 1
