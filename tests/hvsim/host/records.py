"""Dataclasses to plain JSON and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, TypeVar

Record = TypeVar("Record")
PLAIN = frozenset((str, int, float, bool))
UNSAVED = {"saved": False}
"""`field(metadata=UNSAVED)` marks a field that is not part of the record."""


def encode(value: object) -> Any:
    """`value` as JSON data: dataclasses become objects, tuples lists."""
    kind = type(value)
    if value is None or kind in PLAIN:
        return value
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if names := _saved(typing.cast(Hashable, kind)):
        return {name: encode(getattr(value, name)) for name in names}
    return value


def decode(kind: type[Record], data: Any) -> Record:
    """The record of class `kind` that `encode` made `data` from; fields that are absent take their defaults."""
    decoder: Callable[[Any], Record] = _decoder(typing.cast(Hashable, kind))
    return decoder(data)


@cache
def _saved(kind: Any) -> tuple[str, ...]:
    if not dataclasses.is_dataclass(kind):
        return ()
    return tuple(field.name for field in dataclasses.fields(kind) if field.metadata.get("saved", True))


@cache
def _decoder(kind: Any) -> Callable[[Any], Any]:
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        inner = _decoder(next(part for part in arguments if part is not type(None)))
        return lambda data: None if data is None else inner(data)
    if origin is list:
        item = _decoder(arguments[0])
        return lambda data: [item(one) for one in data]
    if origin is dict:
        of_value = _decoder(arguments[1])
        return lambda data: {key: of_value(one) for key, one in data.items()}
    if dataclasses.is_dataclass(kind):
        return _record_decoder(kind)
    return lambda data: data


def _record_decoder(kind: Any) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    decoders = {name: _decoder(hints[name]) for name in _saved(kind)}
    return lambda data: kind(**{name: decode_one(data[name]) for name, decode_one in decoders.items() if name in data})
