"""Python forms of the .NET values that have no exact Python type: enums, versions, secrets, property bags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_hyperv.psrp.secret import Secret

_SHOWN_CHARS = 300


class EnumValue(int):
    """A .NET enum value: compares as its number, and with a string as its name (in any case, as PowerShell does).

    ``name`` is what the other side's ToString() gave, for flags a comma separated list; it is never localised.
    """

    name: str
    type_name: str

    def __new__(cls, number: int, name: str, type_name: str = "") -> EnumValue:
        value = super().__new__(cls, number)
        value.name = name
        value.type_name = type_name
        return value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return self.name.casefold() == other.casefold()
        return int.__eq__(self, other) if isinstance(other, int) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{self.type_name or 'enum'} {self.name}: {int(self)}>"


@dataclass(frozen=True, order=True, slots=True)
class Version:
    """System.Version: two to four parts; an absent part is -1, as in .NET."""

    major: int
    minor: int
    build: int = -1
    revision: int = -1

    @classmethod
    def parse(cls, text: str) -> Version:
        """The version that ``text`` ("10.0.26100.1") writes. Raises ValueError."""
        parts = [int(part) for part in text.split(".")]
        if not 2 <= len(parts) <= 4:
            raise ValueError(f"a version has 2 to 4 parts, {text!r} has {len(parts)}")
        return cls(*parts)

    def __str__(self) -> str:
        return ".".join(str(part) for part in (self.major, self.minor, self.build, self.revision) if part >= 0)


class Uri(str):
    """System.Uri, as written."""

    __slots__ = ()


class Xml(str):
    """System.Xml.XmlDocument, as its text."""

    __slots__ = ()


class Char(str):
    """System.Char: one UTF-16 code unit."""

    __slots__ = ()


class ScriptText(str):
    """The text of a ScriptBlock that came back. A ScriptBlock never travels as one: it cannot be sent."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """A PSCredential; ``user`` may be ``DOMAIN\\\\user`` or ``user@domain``."""

    user: str
    password: Secret


class PSObject:
    """A .NET object as the properties that travelled.

    Properties read as attributes or items, in any case when the exact name does not exist: ``vm.State``,
    ``vm["State"]``. Note properties win over adapted ones, as in PowerShell. ``type_names`` are those of the
    original, most derived first.
    """

    __slots__ = ("properties", "text", "type_names")

    properties: Mapping[str, Any]
    text: str
    type_names: tuple[str, ...]

    def __init__(self, properties: Mapping[str, Any], *, type_names: tuple[str, ...] = (), text: str = "") -> None:
        object.__setattr__(self, "properties", dict(properties))
        object.__setattr__(self, "type_names", type_names)
        object.__setattr__(self, "text", text)

    @classmethod
    def of(cls, **properties: Any) -> PSObject:
        """A property bag to send; arrives as a PSCustomObject."""
        return cls(properties)

    def is_a(self, type_name: str) -> bool:
        """True when the object was of the .NET type (full name) before it was serialised."""
        return type_name in self.type_names

    def get(self, name: str, default: Any = None) -> Any:
        """The property, or ``default`` when the object has none of that name."""
        try:
            return self[name]
        except KeyError:
            return default

    def __getitem__(self, name: str) -> Any:
        if name in self.properties:
            return self.properties[name]
        for key, value in self.properties.items():
            if key.casefold() == name.casefold():
                return value
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            known = ", ".join(self.properties) or "none"
            raise AttributeError(f"{self._title} has no property {name}; its properties are: {known}") from None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self._title} is a copy of what travelled and cannot be changed (tried to set {name})")

    def __contains__(self, name: str) -> bool:
        return any(key.casefold() == name.casefold() for key in self.properties)

    def __iter__(self) -> Iterator[str]:
        return iter(self.properties)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PSObject):
            return NotImplemented
        return self.properties == other.properties and self.text == other.text

    __hash__ = None  # type: ignore[assignment]

    @property
    def _title(self) -> str:
        return self.type_names[0] if self.type_names else "PSObject"

    def __str__(self) -> str:
        return self.text or repr(self)

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.properties.items())
        return f"<{self._title} {shown[:_SHOWN_CHARS]}>"
