"""The param block of a script: its parameters' names and simple types, and arguments bound to them.

Stricter than PowerShell with a plain function: an argument that fits no parameter is refused instead of left in $args.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.hvsim.engine.statements import Arguments
from tests.hvsim.engine.values import Int64, version
from tests.hvsim.values import Version
from tests.psrp.peer.records import ShellError

_HEAD = re.compile(
    r"\s*(?:#[^\n]*\n\s*|<#.*?#>\s*|\[CmdletBinding\([^)]*\)\]\s*)*param\s*\(", re.IGNORECASE | re.DOTALL
)
_ENTRY = re.compile(r"((?:\[[^\]]*(?:\[\])?\]\s*)*)\$(\w+)\s*(?:=\s*(.*))?", re.DOTALL)
_SIZE = re.compile(r"(\d+)(KB|MB|GB)?", re.IGNORECASE)
_UNITS = {"kb": 2**10, "mb": 2**20, "gb": 2**30}


@dataclass(frozen=True)
class ScriptParameter:
    """One parameter of a script; `type` is as written, in lower case, "" when there is none."""

    name: str
    type: str
    default: str


def split(text: str) -> tuple[list[ScriptParameter] | None, str]:
    """The parameters of a script (None without a param block), and the text after the block."""
    head = _HEAD.match(text)
    if not head:
        return None, text
    end = _closing(text, head.end())
    return [_parameter(entry) for entry in _entries(text[head.end() : end])], text[end + 1 :]


def bind(parameters: list[ScriptParameter], arguments: Arguments) -> dict[str, Any]:
    """The values of all parameters, under their names as written. Raises ShellError as the binder would."""
    values: dict[str, Any] = {}
    by_name = {parameter.name.casefold(): parameter for parameter in parameters}
    for name, value in arguments:
        if name is not None:
            parameter = by_name.get(name.casefold())
            if parameter is None:
                raise _refused(
                    f"A parameter cannot be found that matches parameter name '{name}'.", "NamedParameterNotFound"
                )
            values[parameter.name] = _converted(parameter, value)
    free = [parameter for parameter in parameters if parameter.name not in values]
    for value in (value for name, value in arguments if name is None):
        if not free:
            raise _refused(
                f"A positional parameter cannot be found that accepts argument '{value}'.",
                "PositionalParameterNotFound",
            )
        parameter = free.pop(0)
        values[parameter.name] = _converted(parameter, value)
    return {parameter.name: values.get(parameter.name, _default(parameter)) for parameter in parameters}


def convert(kind: str, value: object) -> object:
    """``[kind] value``. Raises ValueError or TypeError when there is no such conversion."""
    conversion = _CONVERSIONS.get(kind.casefold().removeprefix("system."))
    return value if conversion is None else conversion(value)


def _converted(parameter: ScriptParameter, value: object) -> object:
    try:
        return convert(parameter.type, value)
    except (ValueError, TypeError) as failure:
        raise ShellError(
            f"Cannot process argument transformation on parameter '{parameter.name}'. Cannot convert value "
            f'"{value}" to type "{parameter.type}".',
            "ParameterArgumentTransformationError",
            "InvalidData",
        ) from failure


def _default(parameter: ScriptParameter) -> object:
    written = parameter.default.strip()
    if size := _SIZE.fullmatch(written):
        return int(size[1]) * _UNITS.get((size[2] or "").casefold(), 1)
    constants: dict[str, object] = {"@()": [], "@{}": {}, "$true": True, "$false": False, "''": "", '""': ""}
    if written in constants:
        return constants[written]
    if written.startswith(("'", '"')):
        return written[1:-1]
    return _ABSENT.get(parameter.type)


def _refused(message: str, error_id: str) -> ShellError:
    return ShellError(message, error_id, "InvalidArgument")


def _closing(text: str, at: int) -> int:
    depth = 1
    for found in re.compile(r"'[^']*'|\"[^\"]*\"|[()]").finditer(text, at):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.start()
    raise ShellError(
        "Missing ')' in function parameter list.", "MissingEndParenthesisInFunctionParameterList", "ParserError"
    )


def _entries(block: str) -> list[str]:
    entries, depth, entry = [], 0, ""
    for character in block:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            entries.append(entry)
            entry = ""
        else:
            entry += character
    return [entry for entry in (*entries, entry) if entry.strip()]


def _parameter(entry: str) -> ScriptParameter:
    found = _ENTRY.search(entry.strip())
    if not found:
        raise ShellError(f"The parameter {entry.strip()!r} cannot be read.", "ParserError", "ParserError")
    types = re.findall(r"\[([\w.]+(?:\[\])?)\]", found[1])
    return ScriptParameter(found[2], types[-1].casefold() if types else "", found[3] or "")


def _text(value: object) -> str:
    return "" if value is None else " ".join(map(_text, value)) if isinstance(value, list) else str(value)


def _integer(value: object) -> int:
    return 0 if value is None else int(str(value), 0) if isinstance(value, str) else round(float(str(value)))


def _list(value: object) -> object:
    return value if value is None or isinstance(value, list) else [value]


def _texts(value: object) -> object:
    return None if value is None else [_text(entry) for entry in (value if isinstance(value, list) else [value])]


def _bytes(value: object) -> object:
    return bytes(value) if isinstance(value, list) else value


def _guid(value: object) -> object:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))


def _table(value: object) -> object:
    if value is not None and not isinstance(value, dict):
        raise TypeError("not a hashtable")
    return value


def _version(value: object) -> Version:
    return value if isinstance(value, Version) else version(str(value))


def _span(value: object) -> object:
    return value if isinstance(value, datetime.timedelta) else datetime.timedelta(seconds=float(str(value)))


_CONVERSIONS: dict[str, Callable[[Any], object]] = {
    "string": _text,
    "int": _integer,
    "int32": _integer,
    "long": lambda value: Int64(_integer(value)),
    "int64": lambda value: Int64(_integer(value)),
    "double": lambda value: 0.0 if value is None else float(value),
    "bool": bool,
    "switch": bool,
    "guid": _guid,
    "version": _version,
    "timespan": _span,
    "hashtable": _table,
    "object[]": _list,
    "string[]": lambda value: (
        None if value is None else [_text(entry) for entry in (value if isinstance(value, list) else [value])]
    ),
    "array": _list,
    "byte[]": _bytes,
}
_ABSENT: dict[str, object] = {
    "string": "",
    "int": 0,
    "int32": 0,
    "long": 0,
    "int64": 0,
    "double": 0.0,
    "bool": False,
    "switch": False,
}
