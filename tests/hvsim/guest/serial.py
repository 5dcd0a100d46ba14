"""Serial ports: what a guest writes, kept beside the host's state, and given to whoever reads the host's named pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.hvsim.guest.failures import dotnet_failure
from tests.hvsim.guest.system import ALIVE, Opened
from tests.hvsim.host.machines import VirtualMachine
from tests.hvsim.host.world import SimHost

PREFIX = "\\\\.\\pipe\\"
LOOK = 0.05
"""Real seconds between two looks for bytes."""


def port_file(folder: Path, machine: str, port: int) -> Path:
    """Where the bytes of a machine's port are."""
    return folder / "serial" / f"{machine}-{port}"


def write_port(guest: Opened, port: int, data: bytes) -> None:
    """Write to a port of the guest; without a pipe behind it the bytes are lost."""
    if any(known.number == port and known.path for known in guest.vm.settings.com_ports):
        file = port_file(guest.world.folder, guest.vm.id, port)
        file.parent.mkdir(exist_ok=True)
        with file.open("ab") as stream:
            stream.write(data)


def follow(host: SimHost, pipe: str, timeout: float, sleep: Callable[[float], None]) -> Iterator[str | bytes]:
    """The word "connected", and what arrives on a named pipe from then on, until its machine stops.

    `timeout` is in real seconds.

    Raises `HostFailure` as NamedPipeClientStream.Connect does when no machine has opened the pipe in time.
    """
    machine, port = _connected(host, pipe, timeout, sleep)
    file = port_file(host.folder, machine, port)
    place = file.stat().st_size if file.exists() else 0
    yield "connected"
    while True:
        ended = _server_of(host, pipe) is None
        if file.exists():
            with file.open("rb") as stream:
                stream.seek(place)
                data = stream.read()
            if data:
                place += len(data)
                yield data
        if ended:
            return
        sleep(LOOK)


def _connected(host: SimHost, pipe: str, timeout: float, sleep: Callable[[float], None]) -> tuple[str, int]:
    waited = 0.0
    while (found := _server_of(host, pipe)) is None:
        if waited >= timeout:
            raise dotnet_failure("Connect", 1, "System.TimeoutException", "The operation has timed out.")
        sleep(LOOK)
        waited += LOOK
    return found


def _server_of(host: SimHost, pipe: str) -> tuple[str, int] | None:
    """The running machine that has the pipe open, and its port."""
    wanted = (PREFIX + pipe).casefold()
    with host.transaction() as world:
        for vm in world.machines.values():
            for port in _open_ports(vm):
                if port[1].casefold() == wanted:
                    return vm.id, port[0]
    return None


def _open_ports(vm: VirtualMachine) -> list[tuple[int, str]]:
    return [(port.number, port.path) for port in vm.settings.com_ports if port.path] if vm.state in ALIVE else []
