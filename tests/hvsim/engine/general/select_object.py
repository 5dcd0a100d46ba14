"""Select-Object."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator

from tests.hvsim.contract import CommandContract
from tests.hvsim.engine import errors
from tests.hvsim.engine.general import properties
from tests.hvsim.engine.general.comparison import equal, wildcard
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.engine.values import custom_object
from tests.hvsim.values import NOTHING, net_text, net_type

NAME_KEYS = ("n", "l", "name", "label")
EXPRESSION_KEYS = ("e", "expression")


def select_object(inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    """Choose among the objects, then project each."""
    projected = (value for item in _chosen(inv, upstream) for value in _projected(inv, item))
    return _unique(projected) if inv.value("Unique") else projected


def _chosen(inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    if (indices := inv.value("Index")) is not None:
        return (item for at, item in enumerate(upstream) if at in indices)
    skip, first, last = inv.value("Skip", 0), inv.value("First"), inv.value("Last")
    if last is not None and first is None:
        kept = deque(upstream, maxlen=last + skip)
        return iter(list(kept)[: len(kept) - skip] if skip else kept)
    if (skip_last := inv.value("SkipLast")) is not None:
        return iter(list(upstream)[: -skip_last or None])
    stop = None if first is None else skip + first
    return itertools.islice(upstream, skip, stop)


def _projected(inv: Invocation, item: object) -> Iterator[object]:
    wanted, expanded = inv.value("Property"), inv.value("ExpandProperty")
    if wanted is None and expanded is None:
        if (excluded := inv.value("ExcludeProperty")) is None:
            yield item
            return
        wanted = ["*"]
        yield custom_object(_bag(inv, item, wanted, excluded), selected_from=_class(item))
        return
    if expanded is None:
        bag = _bag(inv, item, wanted, inv.value("ExcludeProperty", ()))
        yield custom_object(bag, selected_from=_class(item))
        return
    yield from _expanded(inv.command, item, str(expanded))


def _class(item: object) -> str:
    return "" if item is None else net_type(item)


def _bag(inv: Invocation, item: object, wanted: list[object], excluded: list[object]) -> dict[str, object]:
    """The properties asked for, under the names that were asked for."""
    barred = [wildcard(net_text(pattern)) for pattern in excluded]
    bag: dict[str, object] = {}
    for entry in wanted:
        if isinstance(entry, dict):
            name, source = _calculated(inv.command, entry)
            bag[name] = properties.read(item, source, inv.command)
            continue
        for name in properties.fitting(item, net_text(entry), inv.command):
            if not any(pattern.fullmatch(name) for pattern in barred):
                bag[name] = properties.find(item, name)
    return bag


def _calculated(command: CommandContract, entry: dict[object, object]) -> tuple[str, str]:
    """Name and property of ``@{n='New'; e='Property'}``; an expression can only be the name of a property."""
    keys = {str(key).casefold(): value for key, value in entry.items()}
    expression = next((keys[key] for key in EXPRESSION_KEYS if key in keys), None)
    name = next((keys[key] for key in NAME_KEYS if key in keys), expression)
    unknown = [key for key in keys if key not in NAME_KEYS + EXPRESSION_KEYS]
    if unknown or not isinstance(expression, str):
        raise errors.refusal(
            command,
            f"The calculated property {entry} has no expression that travels.",
            "DictionaryKeyUnknown",
            "InvalidArgument",
        )
    return net_text(name), expression


def _expanded(command: CommandContract, item: object, name: str) -> Iterator[object]:
    value = properties.find(item, name)
    if value is NOTHING:
        raise errors.refusal(
            command, f'Property "{name}" cannot be found.', "ExpandPropertyNotFound", "InvalidArgument", net_text(item)
        )
    if isinstance(value, (list, tuple)):
        yield from value
    elif value is not None:
        yield value


def _unique(values: Iterator[object]) -> Iterator[object]:
    seen: list[object] = []
    for value in values:
        if not any(equal(value, known) for known in seen):
            seen.append(value)
            yield value
