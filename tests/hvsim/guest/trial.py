"""A simulated host with one running guest, for tests: sessions over the real program, the machine's state beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_hyperv.backends.hyperv.command_lines import arguments_of
from pytest_hyperv.backends.hyperv.records import Streams
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.guest import CommandResult
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.dotnet import Credential
from pytest_hyperv.psrp.local import open_local
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.psrp.secret import Secret
from tests.hvsim.creation import make_host
from tests.hvsim.host import power
from tests.hvsim.host.disk_files import DiskFile, store
from tests.hvsim.host.machines import ComPort, HardDrive, Settings, VirtualMachine, new_id
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.state import World
from tests.hvsim.host.world import SimHost

FOLDER = r"C:\machines"
DISK = FOLDER + r"\trial.vhdx"
PIPE = r"\\.\pipe\trial"
TIMEOUT = 30.0


@dataclass
class Trial:
    """One host with the machine ``trial``, and what starts its PowerShell."""

    host: SimHost
    launcher: Path
    machine: str

    @contextmanager
    def changed(self) -> Iterator[tuple[World, VirtualMachine]]:
        """The world and the machine, to be looked at or changed."""
        with self.host.transaction() as world:
            yield world, world.machine(self.machine)

    def boot(self) -> None:
        """Start the machine and let the time pass until its guest takes sessions."""
        with self.changed() as (world, vm):
            power.start(world, vm)
        self.host.advance(power.STARTING)
        self.host.advance(self.host.options.boot + 1)

    def restart_cold(self) -> None:
        """Turn the machine off and boot it."""
        with self.changed() as (world, vm):
            power.turn_off(world, vm)
        self.host.advance(power.TURNING_OFF)
        self.boot()

    def credential(self, password: str | None = None) -> Credential:
        """The guest's account."""
        options = self.host.options
        return Credential(options.user, Secret(options.password if password is None else password))

    @contextmanager
    def process(self) -> Iterator[Session]:
        """A PowerShell process of the host."""
        with open_local([str(self.launcher), "-NoLogo", "-NoProfile", "-s"], timeout=TIMEOUT) as session:
            yield session

    @contextmanager
    def guest(self) -> Iterator[Guest]:
        """A process with an open session into the guest."""
        with self.process() as session:
            opened = session.call(self.opening(), timeout=TIMEOUT).one
            yield Guest(session, opened)

    def opening(self, password: str | None = None) -> Script:
        """The script that opens a session."""
        return Script(text("open-session"), VMId=self.machine, Credential=self.credential(password))


@dataclass
class Guest:
    """An open session into the guest. `opened` is what answered."""

    session: Session
    opened: Any

    def outer(self, script: str, *arguments: Any, **named: Any) -> PowerShellResult:
        """The result of run-script.ps1 itself, before the guest's streams are told apart."""
        runner = Script(text("run-script"), Script=script, Arguments=list(arguments), Parameters=named)
        return self.session.run(runner.in_local_scope(), timeout=TIMEOUT)

    def ps(self, script: str, *arguments: Any, **named: Any) -> PowerShellResult:
        """What a script brought."""
        return told_apart(self.outer(script, *arguments, **named))

    def call(self, *statements: Sequence[Mapping[str, Any]]) -> PowerShellResult:
        """What cmdlets brought that travelled as data."""
        script = Script(text("invoke-calls"), Statements=[list(stages) for stages in statements])
        return told_apart(self.session.run(script.in_local_scope(), timeout=TIMEOUT))

    def run(self, *argv: str, line: str | None = None, **values: Any) -> CommandResult:
        """A program, by the rules of the package; `line` is its command line as it is to arrive."""
        arguments = arguments_of(argv) if line is None else line
        result = self.ps(text("run-program"), FileName=argv[0], Arguments=arguments, **values).check()
        *pieces, end = result.output
        streams = {1: b"", 2: b""}
        for piece in pieces:
            streams[piece.Stream] += piece.Data
        return CommandResult(argv, end.ExitCode, streams[1], streams[2], 0.0)

    def state(self) -> str:
        """What session-state.ps1 says."""
        return str(self.session.call(Script(text("session-state")), timeout=TIMEOUT).one)


def told_apart(result: PowerShellResult) -> PowerShellResult:
    """The guest's streams out of the runner's output."""
    streams = Streams()
    streams.output.extend(value for value in result.output if streams.take(value))
    told = streams.result("the script", 0.0, stopped=result.stopped)
    told.errors.extend(result.errors)
    return told


def make_trial(folder: Path, options: HostOptions | None = None) -> Trial:
    """A host in `folder` whose machine ``trial`` runs, with its guest up."""
    launcher = make_host(folder, options)
    host = SimHost(folder)
    with host.transaction() as world:
        world.drives.resolve(DISK).parent.mkdir(parents=True)
        store(world.drives, DISK, DiskFile(system=True))
        settings = Settings(name="trial", drives=[HardDrive(DISK)], com_ports=[ComPort(1, PIPE), ComPort(2)])
        settings.services = {"Heartbeat": True, "Shutdown": True}
        settings.checkpoint_type = "Standard"
        vm = VirtualMachine(id=new_id(), settings=settings, path=FOLDER, created=world.now, snapshot_path=FOLDER)
        world.machines[vm.id] = vm
    trial = Trial(host, launcher, vm.id)
    trial.boot()
    return trial
