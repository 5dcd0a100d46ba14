"""The guest's services: which there are, and which run (in memory: a restore brings that back, a reboot does not)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["Running", "Stopped"]


@dataclass(frozen=True)
class Service:
    """A service: `name` for programs, `display` for people, `automatic` when it starts with the system."""

    name: str
    display: str
    automatic: bool = True


SERVICES = (
    Service("EventLog", "Windows Event Log"),
    Service("LanmanServer", "Server"),
    Service("Spooler", "Print Spooler"),
    Service("vmicguestinterface", "Hyper-V Guest Service Interface", automatic=False),
    Service("vmicheartbeat", "Hyper-V Heartbeat Service"),
    Service("vmickvpexchange", "Hyper-V Data Exchange Service"),
    Service("vmicshutdown", "Hyper-V Guest Shutdown Service"),
    Service("vmictimesync", "Hyper-V Time Synchronization Service"),
    Service("vmicvmsession", "Hyper-V PowerShell Direct Service"),
    Service("w32time", "Windows Time"),
    Service("WinRM", "Windows Remote Management (WS-Management)"),
    Service("wuauserv", "Windows Update", automatic=False),
)


def service(name: str) -> Service | None:
    """The service of that name, in any case."""
    return next((known for known in SERVICES if known.name.casefold() == name.casefold()), None)


def status(memory: dict[str, Any], known: Service) -> Status:
    """Whether a service runs."""
    found: Status = memory.get("services", {}).get(known.name, "Running" if known.automatic else "Stopped")
    return found


def set_status(memory: dict[str, Any], known: Service, to: Status) -> None:
    """Start or stop a service."""
    memory.setdefault("services", {})[known.name] = to
