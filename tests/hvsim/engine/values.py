"""Values that cmdlets give out and that need more than a Python type: enums, sized integers, secrets, notes.

A plain int travels as Int32 when it fits, then as Int64, then as UInt64; the classes here name another width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.hvsim.values import NetObject, Version

__all__ = [
    "CUSTOM_OBJECT",
    "Byte",
    "Credential",
    "EnumValue",
    "Int32",
    "Int64",
    "Noted",
    "SecureString",
    "UInt16",
    "UInt32",
    "UInt64",
    "Version",
    "custom_object",
    "version",
]


@dataclass(frozen=True)
class EnumValue:
    """A value of a .NET enumeration: travels as its number with its name as text.

    `type_name` is the class with its namespace (``Microsoft.HyperV.PowerShell.VMState``).
    """

    type_name: str
    name: str
    number: int

    def __str__(self) -> str:
        return self.name

    def __int__(self) -> int:
        return self.number


class Byte(int):
    """System.Byte."""


class UInt16(int):
    """System.UInt16."""


class UInt32(int):
    """System.UInt32."""


class Int32(int):
    """System.Int32."""


class Int64(int):
    """System.Int64."""


class UInt64(int):
    """System.UInt64."""


@dataclass(frozen=True)
class SecureString(NetObject):
    """A SecureString; `secret` is what it holds."""

    secret: str = field(default="", repr=False)

    @classmethod
    def of(cls, secret: str) -> SecureString:
        """The SecureString that holds `secret`."""
        return cls(("System.Security.SecureString", "System.Object"), {"Length": len(secret)}, secret=secret)


@dataclass(frozen=True)
class Credential(NetObject):
    """A PSCredential; `user` may be ``DOMAIN\\user``."""

    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, user: str, password: str) -> Credential:
        """The credential of an account."""
        properties = {"UserName": user, "Password": SecureString.of(password)}
        return cls(
            ("System.Management.Automation.PSCredential", "System.Object"), properties, user=user, password=password
        )


@dataclass(frozen=True)
class Noted:
    """Any value with note properties on it, as remoting adds them to what comes out of a session."""

    value: object
    notes: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.value)


CUSTOM_OBJECT = "System.Management.Automation.PSCustomObject"


def custom_object(properties: Mapping[str, object], *, selected_from: str = "") -> NetObject:
    """A property bag, such as ``[pscustomobject]``; `selected_from` names the class that Select-Object took it from."""
    first = (f"Selected.{selected_from}",) if selected_from else ()
    return NetObject((*first, CUSTOM_OBJECT, "System.Object"), properties, _as_text(properties))


def _as_text(properties: Mapping[str, object]) -> str:
    return "@{" + "; ".join(f"{name}={'' if value is None else value}" for name, value in properties.items()) + "}"


def version(text: str) -> Version:
    """The System.Version that `text` ("10.0.26100") writes. Raises ValueError."""
    return Version(tuple(int(part) for part in text.split(".")))
