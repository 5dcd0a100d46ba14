"""Objects as a PowerShell server writes them: CLIXML (MS-PSRP 2.2.5).

An object of a class inside an object inside an object travels as its text, as the engine's serializer does at its
default depth.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from tests.hvsim.engine.values import (
    CUSTOM_OBJECT,
    Byte,
    Credential,
    EnumValue,
    Int32,
    Int64,
    Noted,
    SecureString,
    UInt16,
    UInt32,
    UInt64,
)
from tests.hvsim.values import TICKS_PER_SECOND, NetObject, TimeSpan, Version

BOM = b"\xef\xbb\xbf"
DEPTH = 2
_INT32 = 2**31
_INT64 = 2**63
_ENUM_BASES = ("System.Enum", "System.ValueType", "System.Object")
_LIST_TYPES = ("System.Object[]", "System.Array", "System.Object")
_TABLE_TYPES = ("System.Collections.Hashtable", "System.Object")
_ESCAPED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]|_(?=[xX])")
_SIZED: tuple[tuple[type, str], ...] = (
    (Byte, "By"),
    (UInt16, "U16"),
    (UInt32, "U32"),
    (UInt64, "U64"),
    (Int64, "I64"),
    (Int32, "I32"),
)


def serialize(value: object, encrypt: Callable[[str], str]) -> bytes:
    """The body of a message that carries `value`; `encrypt` gives the text of a secret under the session's key."""
    return BOM + _Writer(encrypt).element(value, "", DEPTH).encode()


class _Writer:
    """One document: references are numbered within it."""

    def __init__(self, encrypt: Callable[[str], str]) -> None:
        self._encrypt = encrypt
        self._objects = 0
        self._types: dict[tuple[str, ...], int] = {}

    def element(self, value: object, attributes: str, depth: int) -> str:
        """The element for `value`, with these attributes."""
        simple = self._primitive(value, attributes)
        if simple is not None:
            return simple
        if isinstance(value, Noted):
            return self._noted(value, attributes, depth)
        if isinstance(value, EnumValue):
            text = f"<ToString>{_text(value.name)}</ToString><I32>{value.number}</I32>"
            return self._object(attributes, lambda: self._names((value.type_name, *_ENUM_BASES)) + text)
        if isinstance(value, Mapping):
            return self._object(attributes, lambda: self._names(_TABLE_TYPES) + self._table(value, depth))
        if isinstance(value, (Sequence, set, frozenset)):
            return self._object(
                attributes,
                lambda: (
                    self._names(_LIST_TYPES)
                    + "<LST>"
                    + "".join(self.element(entry, "", depth) for entry in value)
                    + "</LST>"
                ),
            )
        if isinstance(value, NetObject):
            return self._net_object(value, {}, attributes, depth)
        raise TypeError(f"a value of {type(value).__name__} cannot be sent: {value!r}")

    def _primitive(self, value: object, attributes: str) -> str | None:
        if value is None:
            return f"<Nil{attributes} />"
        if isinstance(value, SecureString):
            return f"<SS{attributes}>{self._encrypt(value.secret)}</SS>"
        found = _plain(value)
        return None if found is None else f"<{found[0]}{attributes}>{found[1]}</{found[0]}>"

    def _noted(self, value: Noted, attributes: str, depth: int) -> str:
        inner = value.value
        if isinstance(inner, NetObject):
            return self._net_object(inner, value.notes, attributes, depth)
        simple = self._primitive(inner, "")
        if simple is None or inner is None:
            return self.element(inner, attributes, depth)
        return self._object(attributes, lambda: simple + self._members("MS", value.notes, depth))

    def _object(self, attributes: str, content: Callable[[], str]) -> str:
        number = self._objects
        self._objects += 1
        return f'<Obj{attributes} RefId="{number}">{content()}</Obj>'

    def _names(self, names: tuple[str, ...]) -> str:
        if names in self._types:
            return f'<TNRef RefId="{self._types[names]}" />'
        number = self._types[names] = len(self._types)
        return f'<TN RefId="{number}">' + "".join(f"<T>{_text(name)}</T>" for name in names) + "</TN>"

    def _net_object(self, value: NetObject, notes: Mapping[str, object], attributes: str, depth: int) -> str:
        if depth == 0 and not value.type_names[0].startswith("Deserialized."):
            return f"<S{attributes}>{_text(str(value))}</S>"
        bag = CUSTOM_OBJECT in value.type_names or f"Deserialized.{CUSTOM_OBJECT}" in value.type_names
        text = "" if bag or isinstance(value, Credential) else f"<ToString>{_text(str(value))}</ToString>"
        below = max(0, depth - 1)

        def content() -> str:
            names = self._names(value.type_names)
            if bag:
                return names + self._members("MS", {**value.properties, **notes}, below)
            return names + text + self._members("Props", value.properties, below) + self._members("MS", notes, below)

        return self._object(attributes, content)

    def _members(self, group: str, members: Mapping[str, object], depth: int) -> str:
        if not members:
            return ""
        inner = "".join(self.element(value, f" N={_attribute(name)}", depth) for name, value in members.items())
        return f"<{group}>{inner}</{group}>"

    def _table(self, table: Mapping[object, object], depth: int) -> str:
        entries = (
            "<En>" + self.element(key, ' N="Key"', depth) + self.element(value, ' N="Value"', depth) + "</En>"
            for key, value in table.items()
        )
        return "<DCT>" + "".join(entries) + "</DCT>"


def _plain(value: object) -> tuple[str, str] | None:
    """Element name and text of a primitive; None for everything else."""
    if isinstance(value, bool):
        return "B", "true" if value else "false"
    if isinstance(value, Version):
        return "Version", str(value)
    if isinstance(value, str):
        return "S", _text(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return "Db", _double(value)
    if isinstance(value, decimal.Decimal):
        return "D", format(value, "f")
    if isinstance(value, (bytes, bytearray)):
        return "BA", base64.b64encode(value).decode()
    if isinstance(value, uuid.UUID):
        return "G", str(value)
    if isinstance(value, datetime.datetime):
        return "DT", value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, datetime.timedelta):
        return "TS", _duration(value)
    return None


def _integer(value: int) -> tuple[str, str]:
    for kind, element in _SIZED:
        if isinstance(value, kind):
            return element, str(int(value))
    if -_INT32 <= value < _INT32:
        return "I32", str(value)
    return ("I64" if -_INT64 <= value < _INT64 else "U64"), str(value)


def _double(value: float) -> str:
    return {"nan": "NaN", "inf": "INF", "-inf": "-INF"}.get(str(value), repr(value))


def _duration(value: datetime.timedelta) -> str:
    ticks = value.ticks if isinstance(value, TimeSpan) else value // datetime.timedelta(microseconds=1) * 10
    seconds, fraction = divmod(abs(ticks), TICKS_PER_SECOND)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{'-' if ticks < 0 else ''}P{days}DT{hours}H{minutes}M{seconds}.{fraction:07}S"


def _text(text: str) -> str:
    return escape(_ESCAPED.sub(_escaped, text))


def _attribute(text: str) -> str:
    return quoteattr(_ESCAPED.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"_x{units[at]:02X}{units[at + 1]:02X}_" for at in range(0, len(units), 2))
