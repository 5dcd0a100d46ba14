"""The private network of this backend: a switch in this process, and machines that are plugged into it."""

from __future__ import annotations

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.backends.qemu.command_line import mac_of
from pytest_hyperv.backends.qemu.machine import QemuMachine
from pytest_hyperv.backends.qemu.switch import Switch


class QemuNetwork:
    """See ``backends.base.Network``. It ends with this process at the latest."""

    def __init__(self) -> None:
        self._switch = Switch("network")

    def join(self, machine: Machine) -> str:
        """Plug the machine in. A clone's card has the address of the machine that was saved, so each gets its own."""
        assert isinstance(machine, QemuMachine)
        machine.cable.plug_into(self._switch)
        return mac_of(machine.id)

    def close(self) -> None:
        """Cut all of them off; idempotent."""
        self._switch.close()
