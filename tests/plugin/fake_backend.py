"""A backend without a hypervisor, as a pytest plugin: machines are folders whose guests run this machine's programs.

They are in the ledger, as machines of real backends are.

``fake.json`` in the cache scripts it (see Script) and it writes what it does into ``journal.jsonl`` there, one event a
line, from every process of a run. The guest command ``die`` is its kernel panic, ``hang`` the last thing it answers.
What the files console, screen and journal in the guest's folder hold is what it shows of itself.

PYTEST_DONT_REWRITE: this process has it already when the runs in it load it as a plugin.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv import errors
from pytest_hyperv.backends.base import Backend, Checkpoint, GuestCrash, Machine, MachineState, Network
from pytest_hyperv.capabilities import NAMES, Capability, HostFacts, Offer
from pytest_hyperv.guest import OUTPUT_LIMIT, CommandResult, Output
from pytest_hyperv.guest_address import LINUX
from pytest_hyperv.lease_file import LeaseFile
from pytest_hyperv.leases import LeaseBook
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.progress import Progress
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.spec import GIB, Image, MachineSpec, OsFamily
from tests.local_guest import LocalSession

SCRIPT, JOURNAL, SPEC, GUEST = "fake.json", "journal.jsonl", "spec.json", "guest"


@dataclass(frozen=True)
class Script:
    """How the backend behaves.

    ``missing`` maps capabilities that the host lacks to the reason. ``faults`` maps an operation (build, clone, save,
    warm, resume, discard, offer, run) to the calls that fail, by number from 1 in each process, with the name of the
    error's class; "every" fails all. ``hosts`` has the fields that differ on the hosts of these addresses.
    """

    name: str = "qemu"
    missing: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    memory: int = 64 * GIB
    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def on(self, host: str) -> Script:
        """How it behaves on a host."""
        return replace(self, **self.hosts.get(host, {}))


class Journal:
    """What the backend did, and what it has to fail at next."""

    def __init__(self, cache: Path, script: Script, host: str) -> None:
        self._path, self._script, self._host = cache / JOURNAL, script, host
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, operation: str, machine: str = "", purpose: str = "") -> None:
        """Write an event down; raise when the script says so."""
        with self._lock:
            self._calls[operation] += 1
            faults = self._script.faults.get(operation, {})
            wrong = faults.get(str(self._calls[operation])) or faults.get("every")
            event = {"event": operation, "machine": machine, "purpose": purpose, "failed": wrong, "pid": os.getpid()}
            event["host"] = self._host
            with self._path.open("a") as file:
                file.write(json.dumps(event) + "\n")
        if wrong is not None:
            kind = getattr(errors, wrong)
            where = {"host": self._host.rpartition("/")[2]} if issubclass(kind, errors.HostError) else {}
            raise kind(f"the script has {operation} fail", hint="change the script.", **where)

    def strike(self, operation: str) -> None:
        """Raise when the script says so; what goes well is not worth an event."""
        if operation in self._script.faults:
            self.note(operation)


class FakeSession(LocalSession):
    """A session whose guest can die. What gives it an address is written down only: it would change this machine."""

    def __init__(self, machine: FakeMachine) -> None:
        super().__init__(machine.folder)
        self._machine = machine

    def run(
        self,
        argv: Sequence[str],
        *,
        input: object = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        on_output: Output | None = None,
        output_limit: int = OUTPUT_LIMIT,
    ) -> CommandResult:
        """Run a program; ``die`` is the end of the guest."""
        if LINUX in argv:
            self._machine.takes_address(argv)
            return CommandResult(tuple(argv), 0, b"", b"", 0.0)
        if list(argv) == ["die"]:
            self._machine.crash = GuestCrash("panic", "Kernel panic - not syncing: asked to", time.time())
            self.abort(errors.GuestCrashed("the guest died: asked to", machine=self._machine.name, kind="panic"))
        if list(argv) == ["hang"]:
            self._machine.hangs = True
            return CommandResult(("hang",), 0, b"", b"", 0.0)
        self._machine.answer()
        if argv[0] == "journalctl":
            return CommandResult(tuple(argv), 0, self._machine.shown("journal"), b"", 0.0)
        self._machine.strike("run")
        assert input is None or isinstance(input, bytes)
        return super().run(
            argv, input=input, cwd=cwd, env=env, timeout=timeout, on_output=on_output, output_limit=output_limit
        )


class FakeMachine:
    """A folder that stands for a machine; checkpoints are copies of it."""

    def __init__(self, ledger: Ledger, record: Record, spec: MachineSpec, journal: Journal) -> None:
        self.id, self.name = record.id, f"fake-{record.id}"
        self.spec, self._journal = spec, journal
        self.os_family: OsFamily = "linux"
        self._ledger, self._record, self.home = ledger, record, record.folder
        self.folder = self.home / "guest"
        self.folder.mkdir()
        self.state = MachineState.RUNNING
        self.crash: GuestCrash | None = None
        self.session = FakeSession(self)
        self.hangs, self._gone = False, threading.Event()
        self.address = ""
        self.current = ""
        self._points: list[Checkpoint] = []

    def start(self, timeout: float) -> None:  # noqa: ARG002 - it takes no time
        """Run from now on."""
        self.state, self.crash = MachineState.RUNNING, None
        self.session = FakeSession(self)

    def shutdown(self, timeout: float) -> None:  # noqa: ARG002
        """Stop."""
        self.state = MachineState.OFF

    def strike(self, operation: str) -> None:
        """Raise when the script says so."""
        self._journal.strike(operation)

    def takes_address(self, argv: Sequence[str]) -> None:
        """Note the address, and the names of all members that the guest is told."""
        _, address, _, *hosts = argv[argv.index(LINUX) + 2 :]
        self._journal.note("address", self.name, " ".join([address, *(line.split()[1] for line in hosts)]))

    @property
    def powershell(self) -> Session:
        """There is none."""
        raise errors.GuestError("this guest has no PowerShell")

    @property
    def reopened(self) -> tuple[str, ...]:
        """What the variable says."""
        return tuple(filter(None, [os.environ.get("FAKE_REOPENED")]))

    def why(self, lost: errors.SessionLost) -> Exception:
        """Sessions of this backend end for their own reasons."""
        return lost

    def kill(self) -> None:
        """Stop."""
        self.state = MachineState.OFF

    def pause(self) -> None:
        """Wait to be resumed."""
        self.state = MachineState.PAUSED

    def resume(self) -> None:
        """Run on."""
        self._journal.note("resume", self.name)
        self.state = MachineState.RUNNING

    def warm(self) -> None:
        """Wait to be resumed."""
        self._journal.note("warm", self.name)
        self.state = MachineState.PAUSED

    def recycle(self) -> bool:
        """There is no clean point."""
        return False

    def checkpoint(self, name: str, *, memory: bool) -> Checkpoint:
        """Copy the folder."""
        point = Checkpoint(str(uuid.uuid4()), name, memory, self.current, time.time())
        shutil.copytree(self.folder, self.home / point.id)
        self._points.append(point)
        self.current = point.id
        return point

    def restore(self, checkpoint: Checkpoint) -> None:
        """Copy the folder back."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.home / checkpoint.id, self.folder)
        self.current = checkpoint.id
        self.start(0)

    def delete_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Remove the copy."""
        shutil.rmtree(self.home / checkpoint.id)
        self._points.remove(checkpoint)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All points, oldest first."""
        return tuple(self._points)

    def answer(self) -> None:
        """Come back, unless the machine hangs: then it does when it is gone."""
        if self.hangs:
            self._gone.wait()
            raise errors.SessionLost(f"{self.name} is gone")

    def shown(self, name: str) -> bytes:
        """What the guest's file of that name holds."""
        path = self.folder / name
        return path.read_bytes() if path.is_file() else b""

    def screenshot(self) -> bytes:
        """The first bytes of every PNG file."""
        self.answer()
        return self.shown("screen") or b"\x89PNG\r\n\x1a\n"

    def console_text(self) -> str:
        """What it said, and its last words, if any."""
        self.answer()
        return self.shown("console").decode("utf-8", "replace") + (self.crash.text if self.crash else "")

    def dump_memory(self, target: Path, timeout: float) -> None:  # noqa: ARG002 - it takes no time
        """A memory of eight bytes."""
        target.write_bytes(b"KDUMP   ")

    def keep(self, reason: str, seconds: float, *, running: bool) -> Path:
        """Leave the folder, paused or not."""
        self._journal.note("keep", self.name, "running" if running else "paused")
        self._ledger.keep(self._record, reason, seconds)
        return self.home

    def leave(self) -> None:
        """Nothing is held."""

    def let_in(self) -> None:
        """Anybody can come."""
        self._journal.note("let_in", self.name)

    def viewers(self) -> tuple[tuple[str, ...], ...]:
        """Nothing shows a folder."""
        return ()

    def discard(self) -> None:
        """Remove the folder."""
        self._journal.note("discard", self.name)
        self._gone.set()
        self._ledger.close(self._record)


class FakeNetwork:
    """Who joined what is in the journal: ``purpose`` is the network's."""

    def __init__(self, journal: Journal, purpose: str) -> None:
        self._journal, self._purpose = journal, purpose
        journal.note("network", purpose=purpose)

    def join(self, machine: Machine) -> str:
        """Note it."""
        self._journal.note("join", machine.name, self._purpose)
        return ""

    def close(self) -> None:
        """Note it."""
        self._journal.note("network-end", purpose=self._purpose)


class FakeBackend:
    """Machines as folders below ``cache/machines``."""

    recycles = False

    def __init__(self, cache: Path, script: Script, host: str) -> None:
        self.name, self.summary = script.name, "fake, no acceleration"
        self._cache, self._script, self._host = cache, script.on(host), host
        self._journal = Journal(cache, self._script, host)
        self._ledger = Ledger(cache / "machines")
        here = cache if host == "local" else cache / host.rpartition("/")[2]
        self.leases: LeaseBook = LeaseFile(here, script.name)

    def offer(self) -> Offer:
        """Everything but what the script takes away."""
        self._journal.strike("offer")
        have = {
            name: Capability(name not in self._script.missing, self._script.missing.get(name, "")) for name in NAMES
        }
        return Offer(self.name, HostFacts(self._script.memory, 8, 64 * GIB, "linux", "server"), have)

    def fingerprint(self, spec: MachineSpec) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """It depends on its host alone."""
        return {"fake": "1", "host": self._host}

    def build_state(self, image: Image, spec: MachineSpec, folder: Path, progress: Progress) -> None:
        """Write down what the machines will be."""
        self._journal.note("build", purpose=image.name)
        with progress.task(f"Building a fake state of {image.name}", steps=1) as task:
            task.step("writing it down")
            (folder / SPEC).write_text(json.dumps(asdict(replace(spec, image=image.name))))

    def save_state(self, machine: Machine, folder: Path) -> None:
        """Keep the guest's files."""
        assert isinstance(machine, FakeMachine)
        self._journal.note("save", machine.name)
        (folder / SPEC).write_text(json.dumps(asdict(machine.spec)))
        shutil.copytree(machine.folder, folder / GUEST, symlinks=True)

    def remove_state(self, state: Path) -> None:
        """All of it is in its folder."""

    def open_network(self, purpose: str) -> Network:
        """A network that is nothing but entries of the journal."""
        return FakeNetwork(self._journal, purpose)

    def close(self) -> None:
        """Nothing is open."""

    def saved_spec(self, state: Path) -> MachineSpec:
        """What was written down. Raises StateError when it cannot be read."""
        try:
            return MachineSpec(**json.loads((state / SPEC).read_text()))
        except (OSError, ValueError) as error:
            raise errors.StateError(f"the state {state.name} is damaged", state=state.name) from error

    def attach(self, record: Record, *, guest: bool) -> Machine:  # noqa: ARG002
        """These machines have no records."""
        raise errors.MachineStateError(f"{record.name} is no machine of this backend")

    def clone(self, state: Path, purpose: str) -> Machine:
        """A machine of the state. Raises StateError when its file cannot be read."""
        spec = self.saved_spec(state)
        record = self._ledger.open(self.name, purpose, memory=spec.memory, cpus=spec.cpus)
        try:
            self._journal.note("clone", f"fake-{record.id}", purpose)
        except errors.HypervError:
            self._ledger.close(record)
            raise
        machine = FakeMachine(self._ledger, record, spec, self._journal)
        if (state / GUEST).is_dir():
            shutil.copytree(state / GUEST, machine.folder, symlinks=True, dirs_exist_ok=True)
        return machine


@pytest.hookimpl
def pytest_hyperv_backend(name: str, cache: Path, host: str) -> Backend | None:
    """The fake takes the name that its script says; others stay the plugin's own."""
    script = Script(**json.loads(path.read_text())) if (path := cache / SCRIPT).is_file() else Script()
    return FakeBackend(cache, script, host) if name == script.name else None
