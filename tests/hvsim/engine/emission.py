"""Writes down which calls were made: one line of JSON for each distinct command, parameter set and kinds of values.

The file is for `tests.hvsim.emitted`, which binds the calls once more against every version.
"""

from __future__ import annotations

import datetime
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.hvsim.binder import Bound
from tests.hvsim.contract import CommandContract
from tests.hvsim.engine.values import Credential, EnumValue, Int64, SecureString, UInt64, version
from tests.hvsim.values import NOTHING, NetObject, Version

EMITTED = "emitted.jsonl"


class Emissions:
    """The file of one host folder; each process adds what it has not added yet."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / EMITTED
        self._noted: set[str] = set()

    def note(
        self, command: CommandContract, arguments: Sequence[tuple[str | None, object]], bound: Bound, piped: object
    ) -> None:
        """A call that was bound."""
        kind = json.dumps([command.name, bound.set, sorted(bound.values), [_kind(value) for _, value in arguments]])
        if kind in self._noted:
            return
        self._noted.add(kind)
        line = {
            "command": command.name,
            "module": command.module,
            "set": bound.set,
            "parameters": sorted(bound.values),
            "arguments": [[name, encoded(value)] for name, value in arguments],
            "piped": [] if piped is NOTHING else [encoded(piped)],
        }
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


def _kind(value: object) -> str:
    return value.type_names[0] if isinstance(value, NetObject) else type(value).__name__


def encoded(value: object) -> Any:
    """A value as JSON, in the notation of the binding verdicts; secrets are left out."""
    if isinstance(value, Credential):
        return {"credential": value.user}
    if isinstance(value, SecureString):
        return {"secret": True}
    if isinstance(value, NetObject):
        return {
            "object": list(value.type_names),
            "text": value.text,
            "properties": {
                name: encoded(entry) for name, entry in value.properties.items() if not isinstance(entry, NetObject)
            },
        }
    if isinstance(value, EnumValue):
        return {"enum": [value.type_name, value.name, value.number]}
    if isinstance(value, Mapping):
        return {"map": {str(key): encoded(entry) for key, entry in value.items()}}
    for kind, encode in _SCALARS:
        if isinstance(value, kind):
            return encode(value)
    if isinstance(value, (list, tuple)):
        return [encoded(entry) for entry in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


_SCALARS: tuple[tuple[type, Any], ...] = (
    (Version, lambda value: {"version": str(value)}),
    (uuid.UUID, lambda value: {"guid": str(value)}),
    (UInt64, lambda value: {"u64": int(value)}),
    (Int64, lambda value: {"i64": int(value)}),
    (float, lambda value: {"float": value}),
    (datetime.timedelta, lambda value: {"ts": value.total_seconds()}),
    (datetime.datetime, lambda value: {"dt": value.isoformat()}),
    (bytes, lambda value: {"bytes": value[:16].hex()}),
)


def decoded(value: Any) -> object:
    """The value that `encoded` wrote down."""
    if isinstance(value, list):
        return [decoded(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "object" in value:
        properties = {name: decoded(entry) for name, entry in value["properties"].items()}
        return NetObject(tuple(value["object"]), properties, value["text"])
    ((kind, inner),) = value.items()
    return _DECODERS[kind](inner)


_DECODERS: dict[str, Any] = {
    "credential": lambda user: Credential.of(user, ""),
    "secret": lambda _: SecureString.of(""),
    "enum": lambda parts: EnumValue(*parts),
    "map": lambda entries: {key: decoded(entry) for key, entry in entries.items()},
    "version": version,
    "guid": uuid.UUID,
    "u64": UInt64,
    "i64": Int64,
    "float": float,
    "ts": lambda seconds: datetime.timedelta(seconds=seconds),
    "dt": datetime.datetime.fromisoformat,
    "bytes": bytes.fromhex,
}
