"""Cmdlets that choose, change and count what is piped in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cmp_to_key
from typing import Any

from tests.hvsim.engine.values import EnumValue, custom_object
from tests.hvsim.guest.cmdlets.command import Command, Context
from tests.hvsim.guest.members import call, member
from tests.hvsim.guest.operators import binary, compare, like, listed, number, sized, text, truth
from tests.hvsim.guest.syntax_tree import Block
from tests.hvsim.values import NetObject

_TESTS = ("EQ", "NE", "GT", "GE", "LT", "LE", "Like", "NotLike", "Match", "NotMatch", "Contains", "In", "NotIn")


def select_object(context: Context) -> Iterator[Any]:
    """Some properties, or some of the objects."""
    names = listed(context.get("Property"))
    skip, first, last = (context.get(name) for name in ("Skip", "First", "Last"))
    items = list(context.items())[int(skip or 0) :]
    if first is not None:
        items = items[: int(first)]
    if last is not None:
        items = items[-int(last) :] if last else []
    if context.get("Unique"):
        items = [item for place, item in enumerate(items) if not any(text(item) == text(old) for old in items[:place])]
    expand = context.get("ExpandProperty")
    for item in items:
        if expand is not None:
            yield from listed(member(item, text(expand)))
        elif names:
            yield _selected(context, item, names)
        else:
            yield item


def _selected(context: Context, item: Any, names: list[Any]) -> NetObject:
    properties: dict[str, object] = {}
    for name in names:
        if isinstance(name, Mapping):
            label = text(member(name, "Name") or member(name, "n") or member(name, "Label") or member(name, "l"))
            source = member(name, "Expression") or member(name, "e")
            found = (
                list(context.runs.invoke(source, item)) if isinstance(source, Block) else [member(item, text(source))]
            )
            properties[label] = found[0] if len(found) == 1 else found or None
        elif isinstance(item, NetObject):
            wanted = [known for known in item.properties if like(known, name)]
            properties.update({known: item.properties[known] for known in wanted} or {text(name): None})
        else:
            properties[text(name)] = member(item, text(name))
    return custom_object(properties, selected_from=item.type_names[0] if isinstance(item, NetObject) else "")


def where_object(context: Context) -> Iterator[Any]:
    """The objects for which a block, or a comparison of a property, is true."""
    block, name, value = context.get("Property"), context.get("Property"), context.get("Value")
    operator = next((test.casefold() for test in _TESTS if context.get(test)), "")
    for item in context.items():
        if isinstance(block, Block):
            found = list(context.runs.invoke(block, item))
            holds = truth(found[0] if len(found) == 1 else found)
        elif operator:
            holds = truth(binary(operator, member(item, text(name)), value))
        else:
            holds = truth(member(item, text(name)))
        if holds:
            yield item


def for_each(context: Context) -> Iterator[Any]:
    """A block, a property or a method for each object."""
    process = context.get("Process")
    name = context.get("MemberName") or (None if isinstance(process, Block | list) else process)
    if isinstance(context.get("Begin"), Block):
        yield from context.runs.invoke(context.get("Begin"))
    for item in context.items():
        if name is not None:
            value = member(item, text(name))
            yield from listed(
                value if value is not None else call(item, text(name), listed(context.get("ArgumentList")))
            )
        else:
            yield from context.runs.invoke(process, item)
    if isinstance(context.get("End"), Block):
        yield from context.runs.invoke(context.get("End"))


def sort_object(context: Context) -> Iterator[Any]:
    """The objects in the order of their properties, or of themselves."""
    names = [text(name) for name in listed(context.get("Property"))]

    def order(left: Any, right: Any) -> int:
        pairs = [(member(left, name), member(right, name)) for name in names] or [(left, right)]
        return next((found for one, other in pairs if (found := compare(one, other))), 0)

    found = sorted(context.items(), key=cmp_to_key(order), reverse=truth(context.get("Descending")))
    for place, item in enumerate(found):
        if not context.get("Unique") or not place or order(item, found[place - 1]):
            yield item


def measure_object(context: Context) -> Iterator[Any]:
    """Count, and sum, average, least and most where asked."""
    name = context.get("Property")
    values = [item if name is None else member(item, text(name)) for item in context.items()]
    total = sized(sum(number(value) for value in values)) if context.get("Sum") or context.get("Average") else None
    yield NetObject(
        ("Microsoft.PowerShell.Commands.GenericMeasureInfo", "System.Object"),
        {
            "Count": len(values),
            "Average": number(total) / len(values) if context.get("Average") and values else None,
            "Sum": total,
            "Maximum": max(map(number, values), default=None) if context.get("Maximum") else None,
            "Minimum": min(map(number, values), default=None) if context.get("Minimum") else None,
            "Property": name,
        },
    )


def convert_to_json(context: Context) -> Iterator[Any]:
    """The objects as JSON."""
    items = list(context.items())
    value = items[0] if len(items) == 1 else items
    compact = truth(context.get("Compress"))
    yield json.dumps(_plain(value), indent=None if compact else 4, separators=(",", ":") if compact else None)


def _plain(value: Any) -> Any:
    if isinstance(value, NetObject):
        return {name: _plain(entry) for name, entry in value.properties.items()}
    if isinstance(value, Mapping):
        return {text(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, EnumValue):
        return value.number
    return value if value is None or isinstance(value, bool | int | float | str) else text(value)


COMMANDS = {
    "Select-Object": Command(
        select_object, ("Property",), ("ExpandProperty", "First", "Last", "Skip"), ("Unique",)
    ),
    "Where-Object": Command(where_object, ("Property", "Value"), switches=_TESTS, aliases={"filterscript": "Property"}),
    "ForEach-Object": Command(for_each, ("Process",), ("MemberName", "ArgumentList", "Begin", "End")),
    "Sort-Object": Command(sort_object, ("Property",), switches=("Descending", "Unique")),
    "Measure-Object": Command(measure_object, ("Property",), switches=("Sum", "Average", "Maximum", "Minimum")),
    "ConvertTo-Json": Command(convert_to_json, named=("Depth",), switches=("Compress",)),
}  # fmt: skip
