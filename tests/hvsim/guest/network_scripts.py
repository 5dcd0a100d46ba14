"""The guest's network: the package's scripts about it played, and who reaches whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_hyperv.guest_address import MARK
from tests.hvsim.guest.console_programs import HOSTS, reaches
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.services import service, status
from tests.hvsim.guest.shell_state import GuestShell, Terminating
from tests.hvsim.host.switches import set_guest_address

PORTS = {445: "LanmanServer", 5985: "WinRM"}
"""The services that listen, by their ports."""


def connect(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """Nothing when the port of a guest that can be reached has a service that listens, else an error."""
    yield from ()
    name, listens = str(values["Name"]), service(PORTS.get(int(values["Port"]), ""))
    with shell.system.open() as guest:
        runs = listens is not None and reaches(guest, name) and status(guest.memory, listens) == "Running"
    if not runs:
        raise Terminating(ErrorRecord("no answer in time", "no answer in time", "OperationStopped"))


def take_address(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """The first adapter with an address of its own, and our lines in the file of hosts."""
    yield from ()
    with shell.system.open() as guest:
        adapters = guest.vm.settings.adapters
        if not adapters:
            raise Terminating(ErrorRecord("it has no network adapter", "it has no network adapter", "OperationStopped"))
        set_guest_address(guest.world, guest.vm, adapters[0], str(values["Address"]))
        lines = guest.files.read(HOSTS).decode().splitlines() if guest.files.exists(HOSTS) else []
        kept = [line for line in lines if not line.endswith(MARK)]
        ours = [f"{line} {MARK}" for line in values["Hosts"]]
        guest.files.write(HOSTS, "".join(f"{line}\r\n" for line in [*kept, *ours]).encode())
