"""Building blocks of the objects that the cmdlets write: enumerations, times, class hierarchies."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from tests.hvsim.binder import NetObject
from tests.hvsim.engine.values import EnumValue

NAMESPACE = "Microsoft.HyperV.PowerShell"
HOST_NAME = "SIMHOST"

ENUMERATIONS: dict[str, dict[str, int]] = {
    "CheckpointType": {"Disabled": 2, "Production": 3, "ProductionOnly": 4, "Standard": 5},
    "StartAction": {"Nothing": 2, "StartIfRunning": 3, "Start": 4},
    "StopAction": {"TurnOff": 2, "Save": 3, "ShutDown": 4},
    "SnapshotType": {"Standard": 0, "Recovery": 1, "Planned": 2, "Missing": 3, "Replica": 4},
    "OnOffState": {"On": 0, "Off": 1},
    "ControllerType": {"IDE": 0, "SCSI": 1},
    "VMSwitchType": {"Private": 0, "Internal": 1, "External": 2},
    "VhdType": {"Unknown": 0, "Fixed": 2, "Dynamic": 3, "Differencing": 4},
    "VhdFormat": {"Unknown": 0, "VHD": 2, "VHDX": 3, "VHDSet": 4},
    "CriticalErrorAction": {"None": 0, "Pause": 1},
    "IPProtocolPreference": {"IPv4": 4096, "IPv6": 4097},
    "ConsoleModeType": {"Default": 0, "COM1": 1, "COM2": 2, "None": 3},
    "ResolutionType": {"Maximum": 2, "Single": 3, "Default": 4},
    "VMIntegrationComponentOperationalStatus": {
        "Ok": 2,
        "Degraded": 3,
        "Error": 6,
        "NonRecoverableError": 7,
        "NoContact": 12,
        "LostCommunication": 13,
        "Disabled": 32896,
    },
}
"""Names and numbers of the enumerations whose values the objects here carry."""


def enum(kind: str, name: str) -> EnumValue:
    """A value of an enumeration of the Hyper-V module, by its name in any case."""
    members = ENUMERATIONS[kind]
    found = next(known for known in members if known.casefold() == name.casefold())
    return EnumValue(f"{_namespace(kind)}.{kind}", found, members[found])


def member(kind: str, value: IntEnum) -> EnumValue:
    """A member of one of the world's own enumerations, as the class `kind` of the Hyper-V module."""
    return EnumValue(f"{NAMESPACE}.{kind}", value.name, int(value))


def on_off(value: bool) -> EnumValue:
    """A value of OnOffState."""
    return enum("OnOffState", "On" if value else "Off")


def _namespace(kind: str) -> str:
    return "Microsoft.Vhd.PowerShell" if kind in ("VhdType", "VhdFormat") else NAMESPACE


def guid(text: str | None) -> uuid.UUID | None:
    """A GUID of the world as a Guid value."""
    return uuid.UUID(text) if text else None


def moment(seconds: float) -> datetime:
    """A simulated moment as a DateTime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def span(seconds: float) -> timedelta:
    """A duration as a TimeSpan."""
    return timedelta(seconds=max(0.0, seconds))


def net_object(classes: Sequence[str], properties: Mapping[str, object], text: str = "") -> NetObject:
    """An object of the Hyper-V module; `classes` are its class and the bases, without their namespace."""
    names = [name if "." in name else f"{NAMESPACE}.{name}" for name in classes]
    return NetObject((*names, "System.Object"), properties, text or names[0])
