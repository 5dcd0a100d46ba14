"""Calls cmdlets of the simulated host straight, without a process or a wire: binder, cmdlet, streams.

Waits cost no time: the host's clock is moved instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from tests.hvsim.binder import NOTHING, NetObject, bind
from tests.hvsim.cmdlets.registry import CMDLETS
from tests.hvsim.contract import Contract
from tests.hvsim.engine.invocation import Invocation, ProcessState, Streams
from tests.hvsim.host.disk_files import SIGNATURE
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.world import SimHost

GOLDEN = "C:\\images\\golden.vhdx"
"""An image made elsewhere, read-only: a parent for disks."""


@dataclass
class Console:
    """A host, the warnings and errors that its cmdlets wrote, and a way to call them."""

    host: SimHost
    warnings: list[str] = field(default_factory=list)
    errors: list[HostFailure] = field(default_factory=list)
    verbose: list[str] = field(default_factory=list)

    def __call__(self, name: str, piped: object = NOTHING, **parameters: object) -> list[NetObject]:
        """What a cmdlet writes; its errors, raised or written, are in `errors` and are raised as the first of them."""
        before = len(self.errors)
        command = Contract.load(self.host.options.version).command(name)
        assert command is not None, name
        streams = Streams(
            self.warnings.append, self.errors.append, self.verbose.append, self._sleep, lambda: None, Event()
        )
        written: list[NetObject] = []
        for one in piped if isinstance(piped, list) else [piped]:
            bound = bind(command, list(parameters.items()), piped=one)
            invocation = Invocation(self.host, command, bound, ProcessState(), streams, None if one is NOTHING else one)
            try:
                written += [value for value in CMDLETS[name.casefold()](invocation) if isinstance(value, NetObject)]
            except HostFailure as failure:
                self.errors.append(failure)
        if len(self.errors) > before:
            raise self.errors[before]
        return written

    def _sleep(self, seconds: float) -> None:
        self.host.advance(seconds * self.host.options.speed)

    def one(self, name: str, piped: object = NOTHING, **parameters: object) -> NetObject:
        """The one object that a cmdlet writes."""
        (value,) = self(name, piped, **parameters)
        return value

    def golden(self, path: str = GOLDEN, content: bytes = b"an image") -> str:
        """Put an image made elsewhere at a path; returns the path."""
        real = self.host.drives.resolve(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(SIGNATURE + content)
        real.chmod(0o444)
        return path

    def machine(self, name: str = "vm-1", **settings: object) -> NetObject:
        """A machine of generation 2 that is off, on a child of the golden image; `settings` go to Set-VM."""
        parent = GOLDEN if self.host.drives.exists(GOLDEN) else self.golden()
        disk = f"C:\\store\\{name}\\{name}-disk.vhdx"
        self("New-VHD", Path=disk, ParentPath=parent, Differencing=True)
        vm = self.one("New-VM", Name=name, Generation=2, MemoryStartupBytes=2 * 1024**3, VHDPath=disk, Path="C:\\store")
        defaults: dict[str, object] = {"CheckpointType": "Standard", "AutomaticCheckpointsEnabled": False}
        self("Set-VM", vm, **(defaults | settings))
        return self.fresh(vm)

    def fresh(self, vm: NetObject) -> NetObject:
        """The machine as it is now."""
        return self.one("Get-VM", Id=vm.property("Id"))

    def ready(self, vm: NetObject) -> NetObject:
        """Start a machine and let its guest come up."""
        self("Start-VM", vm)
        self.host.advance(self.host.options.boot + 5)
        return self.fresh(vm)


def open_console(folder: Path, options: HostOptions = HostOptions()) -> Console:  # noqa: B008
    """A new host in `folder`, and a console on it."""
    options.save(folder)
    return Console(SimHost(folder))
