"""All that a simulated host knows: the record that every process of the host reads and writes under one lock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.hvsim.host.drives import Drives
from tests.hvsim.host.failures import unknown_id
from tests.hvsim.host.machines import VirtualMachine, new_id
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.records import UNSAVED, decode, written

EVENTS_KEPT = 500
EVENTS_FILE = "events.jsonl"
WORKER_LOG = "Microsoft-Windows-Hyper-V-Worker-Admin"
VMMS_LOG = "Microsoft-Windows-Hyper-V-VMMS-Admin"


@dataclass
class Event:
    """An entry of an event log. `properties` are the texts the message was made with, in their order."""

    log: str
    id: int
    time: float
    message: str
    level: int
    machine: str
    record: int
    properties: list[str] = field(default_factory=list)


def read_events(folder: Path) -> list[Event]:
    """The entries that earlier transactions wrote."""
    file = folder / EVENTS_FILE
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [decode(Event, json.loads(line)) for line in lines[-EVENTS_KEPT:]]


def append_events(folder: Path, events: list[Event]) -> None:
    """Add entries to those on disk: they are apart from the rest of the state, which is read far more often."""
    with (folder / EVENTS_FILE).open("a", encoding="utf-8") as file:
        file.writelines(written(event) + "\n" for event in events)


@dataclass
class Switch:
    """A virtual switch."""

    name: str
    kind: str
    id: str = field(default_factory=new_id)
    notes: str = ""
    adapter: str = ""
    management: bool = False
    sriov: bool = False


@dataclass
class FileLock:
    """Somebody holds a file open until a simulated moment; `path` is a key of `Drives.key`."""

    path: str
    until: float
    reason: str


@dataclass
class Merge:
    """Disks of a machine that wait to be merged; `keep` are the disks that something refers to."""

    machine: str
    name: str
    until: float
    started: float
    frozen: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)


@dataclass
class Job:
    """Work of the management service that blocks changes of a machine until a simulated moment."""

    machine: str
    until: float


@dataclass
class Fault:
    """Something that goes wrong.

    `kind` is one of `faults.KINDS`. It strikes `times` times, at the cmdlet or occasion `on` (any, when None) and the
    machine of that name or id (any, when None). `seconds` is how long it lasts where it lasts (simulated); `code` is
    the bugcheck of a guest that crashes.
    """

    kind: str
    times: int = 1
    on: str | None = None
    machine: str | None = None
    seconds: float = 5.0
    code: str = "0x000000D1"
    id: str = field(default_factory=new_id)


@dataclass
class MountedDisk:
    """A virtual hard disk attached to the host itself."""

    path: str
    number: int
    read_only: bool = False


@dataclass
class Process:
    """A PowerShell process that the program registered: its number, and the boot of the host it began in."""

    pid: int
    boot: int
    started: float


@dataclass
class World:
    """The state of one host. `now` is in simulated seconds since 1970 and stands still during a transaction."""

    now: float
    as_of: float
    boots: int = 1
    guardian: str = field(default_factory=lambda: new_id().replace("-", ""))
    booted_at: float = 0.0
    machines: dict[str, VirtualMachine] = field(default_factory=dict)
    switches: dict[str, Switch] = field(default_factory=dict)
    locks: list[FileLock] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    struck: dict[str, int] = field(default_factory=dict)
    mounted: list[MountedDisk] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    disk_filled: bool = False
    draws: int = 0
    records: int = 0
    macs: int = 0
    options: HostOptions = field(default_factory=HostOptions, metadata=UNSAVED)
    folder: Path = field(default_factory=Path, metadata=UNSAVED)
    fresh_events: list[Event] = field(default_factory=list, metadata=UNSAVED)

    def __post_init__(self) -> None:
        self._drives: Drives | None = None

    @property
    def drives(self) -> Drives:
        """The drives of the host."""
        if self._drives is None:
            self._drives = Drives(self.folder)
        return self._drives

    @property
    def events(self) -> list[Event]:
        """The newest `EVENTS_KEPT` entries of the event logs, oldest first; some may be dated a little ahead."""
        return [*read_events(self.folder), *self.fresh_events][-EVENTS_KEPT:]

    def machine(self, id: str) -> VirtualMachine:
        """The machine with a GUID, in any case. Raises `HostFailure` when there is none."""
        found = self.machines.get(str(id).lower())
        if found is None:
            raise unknown_id(str(id))
        return found

    def draw(self) -> float:
        """The next number of the host's own chance, in [0, 1): the same for the same seed and the same calls."""
        self.draws += 1
        return Random(f"{self.options.seed}:{self.draws}").random()

    def log(
        self, log: str, id: int, vm: VirtualMachine, message: str, level: int = 4, properties: tuple[str, ...] = ()
    ) -> Event:
        """Write an event about a machine; level 2 is an error, 4 information."""
        self.records += 1
        text = f"{message} (Virtual machine ID {vm.id.upper()})"
        values = [vm.name, vm.id.upper(), *properties]
        event = Event(log, id, self.now, text, level, vm.id, self.records, values)
        self.fresh_events.append(event)
        return event

    def note(self, log: str, id: int, message: str, *, level: int = 4, machine: str = "") -> None:
        """Write an event about the host, or about a machine that may be gone."""
        self.records += 1
        self.fresh_events.append(Event(log, id, self.now, message, level, machine, self.records))

    def hold(self, path: str, seconds: float, reason: str) -> None:
        """Keep a file locked for some simulated seconds."""
        self.locks.append(FileLock(self.drives.key(path), self.now + seconds, reason))
