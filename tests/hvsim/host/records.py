"""Dataclasses to plain JSON and back."""

from __future__ import annotations

import dataclasses
import json
import operator
import types
import typing
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, TypeVar

Record = TypeVar("Record")
UNSAVED = {"saved": False}
"""`field(metadata=UNSAVED)` marks a field that is not part of the record."""


def written(value: object) -> str:
    """`value` as JSON text: dataclasses become objects, tuples lists."""
    return json.dumps(value, default=fields_of, separators=(",", ":"), check_circular=False)


def fields_of(record: object) -> dict[str, Any]:
    """What is kept of a dataclass, by name. Raises TypeError for anything else."""
    names, values = _reader(typing.cast(Hashable, type(record)))
    return dict(zip(names, values(record), strict=True))


def decode(kind: type[Record], data: Any) -> Record:
    """The record of class `kind` that `written` told as `data`; fields that are absent take their defaults."""
    decoder = _decoder(typing.cast(Hashable, kind))
    assert decoder is not None, f"{kind} is no record"
    return typing.cast(Record, decoder(data))


@cache
def _saved(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.metadata.get("saved", True))


@cache
def _reader(kind: Any) -> tuple[tuple[str, ...], Callable[[object], tuple[Any, ...]]]:
    names = _saved(kind)
    return names, operator.attrgetter(*names) if len(names) > 1 else lambda record: (getattr(record, names[0]),)


@cache
def _decoder(kind: Any) -> Callable[[Any], Any] | None:
    """What makes a value of that kind from JSON data, None when the data is the value."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _record_decoder(kind)
    if origin in (typing.Union, types.UnionType):
        inner = _decoder(next(part for part in arguments if part is not type(None)))
        return inner and (lambda data: None if data is None else inner(data))
    if origin is list:
        item = _decoder(arguments[0])
        return item and (lambda data: [item(one) for one in data])
    if origin is dict:
        of_value = _decoder(arguments[1])
        return of_value and (lambda data: {key: of_value(one) for key, one in data.items()})
    return None


def _record_decoder(kind: Any) -> Callable[[Any], Any]:
    hints, names = typing.get_type_hints(kind), frozenset(_saved(kind))
    decoders = [(name, decoder) for name in names if (decoder := _decoder(hints[name])) is not None]

    def decoded(data: Any) -> Any:
        values = {name: value for name, value in data.items() if name in names}
        for name, decoder in decoders:
            if name in values:
                values[name] = decoder(values[name])
        return kind(**values)

    return decoded
