"""A virtual machine of the simulated host: its settings, its devices, its checkpoints and what its guest holds."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.hvsim.host.options import GIB
from tests.hvsim.host.states import OperationalStatus, StateName

MIB = 1024**2
NEVER = float("inf")
CheckpointType = Literal["Disabled", "Standard", "Production", "ProductionOnly"]
ServiceKey = Literal["GuestServices", "Heartbeat", "KeyValue", "Shutdown", "TimeSync", "VSS"]


def new_id() -> str:
    """A GUID as the world writes them: lower case."""
    return str(uuid.uuid4())


@dataclass
class HardDrive:
    """A disk attached to a controller; `path` is empty after an attach that failed."""

    path: str
    controller: int = 0
    location: int = 0
    id: str = field(default_factory=new_id)


@dataclass
class NetworkAdapter:
    """A network adapter; `mac` has no separators, and a dynamic one is all zeros until the first start."""

    name: str = "Network Adapter"
    switch: str | None = None
    mac: str = "000000000000"
    dynamic_mac: bool = True
    spoofing: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_id)


@dataclass
class ComPort:
    """A serial port of a machine; `path` is a named pipe or empty."""

    number: int
    path: str = ""
    debugger: bool = False


@dataclass
class Firmware:
    """Settings of a generation 2 machine's UEFI; `boot_order` holds ids of devices."""

    secure_boot: bool = True
    template: str = "MicrosoftWindows"
    boot_order: list[str] = field(default_factory=list)
    boot_protocol: str = "IPv4"
    console: str = "Default"
    pause_after_boot_failure: bool = False


@dataclass
class Security:
    """Key protector and TPM. `protector` is hexadecimal, its host's guardian first; empty when there is none."""

    tpm: bool = False
    protector: str = ""
    encrypt_state: bool = False
    vbs_opt_out: bool = False
    shielded: bool = False


@dataclass
class Processor:
    """Settings of the virtual processors."""

    count: int = 1
    nested: bool = False
    reserve: int = 0
    maximum: int = 100
    weight: int = 100
    compatibility: bool = False
    older_compatibility: bool = False
    threads_per_core: int = 0
    resource_protection: bool = False


@dataclass
class Ram:
    """Settings of the memory, in bytes (`buffer` in per cent)."""

    startup: int = GIB
    minimum: int = 512 * MIB
    maximum: int = 1024 * GIB
    dynamic: bool = False
    buffer: int = 20
    priority: int = 50


@dataclass
class Settings:
    """All that a checkpoint holds of a machine and that a restore brings back."""

    name: str
    notes: str = ""
    generation: int = 2
    version: str = "12.0"
    ram: Ram = field(default_factory=Ram)
    processor: Processor = field(default_factory=Processor)
    firmware: Firmware = field(default_factory=Firmware)
    security: Security = field(default_factory=Security)
    drives: list[HardDrive] = field(default_factory=list)
    adapters: list[NetworkAdapter] = field(default_factory=list)
    com_ports: list[ComPort] = field(default_factory=lambda: [ComPort(1), ComPort(2)])
    services: dict[str, bool] = field(default_factory=dict)
    controllers: int = 1
    checkpoint_type: CheckpointType = "Production"
    automatic_checkpoints: bool = False
    start_action: str = "StartIfRunning"
    stop_action: str = "Save"
    start_delay: int = 0
    critical_action: str = "Pause"
    critical_timeout: int = 30
    resolution: list[int] = field(default_factory=lambda: [1024, 768])
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Resumption:
    """How far a guest had come when its memory was put aside: simulated seconds still to go, and when that was."""

    heartbeat: float
    direct: float
    login: float
    uptime: float
    put_aside: float


@dataclass
class Checkpoint:
    """A point of a machine. `memory` is None for one that holds none: production ones, and those taken while off."""

    id: str
    name: str
    created: float
    settings: Settings
    parent: str | None = None
    kind: Literal["Standard", "Production"] = "Standard"
    automatic: bool = False
    memory: dict[str, Any] | None = None
    resumption: Resumption | None = None
    notes: str = ""


@dataclass
class Transition:
    """A change of state under way: the machine will be `to` at `at`, by `cause`."""

    to: int
    at: float
    cause: str


@dataclass
class VirtualMachine:
    """A machine of the host.

    `life` changes at every boot, reset, resume and restore: a PowerShell Direct session belongs to one life. `memory`
    is what the guest holds in memory, as JSON data. The `_at` times are simulated seconds: when heartbeat, PowerShell
    Direct and logging on begin to work in this life.
    """

    id: str
    settings: Settings
    path: str
    created: float
    state: int = StateName.Off
    status: list[int] = field(default_factory=lambda: [int(OperationalStatus.Ok)])
    life: str = field(default_factory=new_id)
    memory: dict[str, Any] = field(default_factory=dict)
    resumption: Resumption | None = None
    booted_at: float = NEVER
    heartbeat_at: float = NEVER
    direct_at: float = NEVER
    login_at: float = NEVER
    clock_behind: float = 0.0
    clock_synced_at: float = NEVER
    booted_before: bool = False
    hung: bool = False
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    current: str | None = None
    frozen: list[str] = field(default_factory=list)
    transition: Transition | None = None
    busy_until: float = 0.0
    snapshot_path: str = ""

    @property
    def name(self) -> str:
        """The display name, which need not be unique."""
        return self.settings.name

    @property
    def notes(self) -> str:
        """The notes, as free text."""
        return self.settings.notes

    @property
    def state_name(self) -> StateName:
        """The state as a member of the enumeration."""
        return StateName(self.state)

    @property
    def operational_status(self) -> list[OperationalStatus]:
        """The primary status, and the secondary one if there is any."""
        return [OperationalStatus(number) for number in self.status]

    @property
    def top_disk(self) -> str:
        """The disk the guest's system runs on: the first of the first controller; empty when there is none."""
        drives = sorted(self.settings.drives, key=lambda drive: (drive.controller, drive.location))
        return drives[0].path if drives else ""


@dataclass(frozen=True)
class Readiness:
    """What works in a guest at some moment: each of these comes after the one before."""

    heartbeat: bool
    powershell_direct: bool
    login: bool


def readiness(vm: VirtualMachine, now: float) -> Readiness:
    """How far the guest of a machine has come at `now`; nothing works in one that does not run or that hangs."""
    alive = vm.state == StateName.Running and not vm.hung
    return Readiness(
        heartbeat=alive and now >= vm.heartbeat_at,
        powershell_direct=alive and now >= vm.direct_at,
        login=alive and now >= vm.login_at,
    )


def guest_now(vm: VirtualMachine, now: float) -> float:
    """The guest's clock: one that was restored or resumed is behind until something sets it."""
    return now if now >= vm.clock_synced_at else now - vm.clock_behind
