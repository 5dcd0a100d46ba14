"""Bound values in the notation of the recorded verdicts: ``Type:value`` and ``Element[Type:value,...]``."""

from __future__ import annotations

from tests.hvsim.values import items, net_text, net_type


def describe(value: object, kind: str) -> str:
    """`value`, bound to a parameter of type `kind`."""
    if value is None:
        return "null"
    element = kind.removesuffix("[]")
    if element == kind:
        return _one(value, kind)
    return f"{element}[{','.join(_one(part, element) for part in items(value) or ())}]"


def _one(value: object, kind: str) -> str:
    if value is None:
        return "null"
    label = net_type(value).rpartition(".")[2] if kind in ("Object", "IDictionary") else kind
    return f"{label}:{net_text(value)}"
