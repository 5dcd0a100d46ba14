"""Cmdlets over all that is piped in: Where-, ForEach-, Sort-, Measure- and Group-Object, Out-Null."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from tests.hvsim.engine import errors
from tests.hvsim.engine.general import properties
from tests.hvsim.engine.general.comparison import OPERATORS, compare, equal, truth
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.values import NetObject, net_text

MEASURES = ("Sum", "Average", "Maximum", "Minimum")


def where_object(inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    """``-Property X -EQ -Value v`` and the other comparisons; without one, the objects whose property is true."""
    name, value = str(inv.value("Property")), inv.value("Value")
    chosen = [operator for operator in OPERATORS if inv.value(operator)]
    others = [switch for switch in ("Is", "IsNot") if inv.value(switch)]
    if others or any(inv.value(f"C{operator}") for operator in OPERATORS):
        raise errors.not_simulated(inv.command)
    for item in upstream:
        left = properties.read(item, name, inv.command)
        if OPERATORS[chosen[0]](left, value) if chosen else truth(left):
            yield item


def for_each_object(inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    """``-MemberName X``: the property of each object, a list element by element, or its text for ToString."""
    name = str(inv.value("MemberName"))
    for item in upstream:
        if name.casefold() == "tostring":
            yield net_text(item)
            continue
        value = properties.read(item, name, inv.command)
        if isinstance(value, (list, tuple)):
            yield from value
        else:
            yield value


def sort_object(inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    """By properties, or by the objects themselves; stable."""
    keys = inv.value("Property") or [None]
    items = list(upstream)
    for key in reversed(keys):
        name, descending = _sort_key(key, bool(inv.value("Descending")))
        values = [item if name is None else properties.read(item, name, inv.command) for item in items]
        rank = functools.cmp_to_key(compare)
        order = sorted(range(len(items)), key=lambda at: rank(values[at]), reverse=descending)
        items = [items[at] for at in order]
    if not inv.value("Unique"):
        yield from items
        return
    last: object = None
    for at, item in enumerate(items):
        if at == 0 or not all(_same(inv, key, last, item) for key in keys):
            yield item
        last = item


def measure_object(inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    """Count, and the sum, average, maximum and minimum that are asked for."""
    items = list(upstream)
    for name in inv.value("Property") or [None]:
        values = items if name is None else [properties.read(item, str(name), inv.command) for item in items]
        numbers = [float(net_text(value)) for value in values] if any(inv.value(kind) for kind in MEASURES) else []
        results = {
            "Sum": sum(numbers),
            "Average": sum(numbers) / len(numbers) if numbers else None,
            "Maximum": max(numbers, default=None),
            "Minimum": min(numbers, default=None),
        }
        measured = {kind: results[kind] if inv.value(kind) and numbers else None for kind in MEASURES}
        bag = {
            "Count": len(values),
            "Average": measured["Average"],
            "Sum": measured["Sum"],
            "Maximum": measured["Maximum"],
            "Minimum": measured["Minimum"],
            "Property": name,
        }
        yield NetObject(
            (
                "Microsoft.PowerShell.Commands.GenericMeasureInfo",
                "Microsoft.PowerShell.Commands.MeasureInfo",
                "System.Object",
            ),
            bag,
        )


def group_object(inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    """By one property: Name, Count and Group."""
    name = str((inv.value("Property") or [""])[0])
    groups: list[tuple[object, list[object]]] = []
    for item in upstream:
        value = properties.read(item, name, inv.command)
        found = next((members for key, members in groups if equal(key, value)), None)
        if found is None:
            groups.append((value, [item]))
        else:
            found.append(item)
    for key, members in groups:
        bag = {"Values": [key], "Count": len(members), "Group": members, "Name": net_text(key)}
        yield NetObject(("Microsoft.PowerShell.Commands.GroupInfo", "System.Object"), bag)


def out_null(_inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    """Nothing."""
    for _ in upstream:
        pass
    return iter(())


def pass_on(_inv: Invocation, upstream: Iterator[object]) -> Iterator[object]:
    """What comes in, as it is: what Out-Default is in a session without a screen."""
    return upstream


def _sort_key(key: object, descending: bool) -> tuple[str | None, bool]:
    if not isinstance(key, dict):
        return (None if key is None else str(key)), descending
    parts = {str(name).casefold(): value for name, value in key.items()}
    turned = parts.get("descending", parts.get("d", descending))
    return str(parts.get("expression", parts.get("e"))), truth(turned)


def _same(inv: Invocation, key: object, left: object, right: object) -> bool:
    name, _ = _sort_key(key, False)
    if name is None:
        return equal(left, right)
    return equal(properties.read(left, name, inv.command), properties.read(right, name, inv.command))
