"""A private network on a host: a virtual switch of ours, written down before it is made.

Names of switches are not unique, so ours hold a new GUID, and a switch is ours when its notes hold it too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.errors import HypervError
from pytest_hyperv.ledger import Ledger, Record

NOTE = "hyperv-switch.json"


@dataclass(frozen=True)
class PrivateSwitch:
    """What is written down of a switch: the ``host``'s address as a setting writes it, its ``name``, its ``notes``."""

    host: str
    name: str
    notes: str

    @classmethod
    def of(cls, record: Record, host: str) -> PrivateSwitch:
        """The switch that a record is about to have, put on disk whole or not at all."""
        switch = cls(host, f"pytest-hyperv {record.id}", f"pytest-hyperv {record.id} {record.token}")
        new = record.folder / f"{NOTE}.new"
        new.write_text(json.dumps(asdict(switch)), "utf-8")
        new.replace(record.folder / NOTE)
        return switch

    @classmethod
    def read(cls, folder: Path) -> PrivateSwitch | None:
        """The switch written down in a record's folder; None when it has none."""
        try:
            return cls(**json.loads((folder / NOTE).read_text("utf-8")))
        except FileNotFoundError:
            return None

    def found(self, host: HypervHost) -> list[UUID]:
        """Those of the host that are this one: none, or one."""
        told = host.ask(cmdlets.private_switches()).all
        return [UUID(str(each.Id)) for each in told if (each.Name, each.Notes) == (self.name, self.notes)]

    def remove(self, host: HypervHost) -> None:
        """Remove it; adapters on it are left without. Removing what is not there is fine. Raises CmdletError."""
        for ident in self.found(host):
            host.do(cmdlets.switch_removed(ident), achieved=lambda: None if self.found(host) else True)


class HypervNetwork:
    """See ``backends.base.Network``. Made on the host by `open_network`."""

    def __init__(self, host: HypervHost, ledger: Ledger, record: Record, switch: PrivateSwitch) -> None:
        self._host, self._ledger, self._record, self._switch = host, ledger, record, switch
        self._closed = False

    def join(self, machine: Machine) -> str:
        """Lead the machine's adapter to the switch. Each adapter has got an address of its own from the host."""
        self._host.do(cmdlets.connected(UUID(machine.id), self._switch.name))
        return ""

    def close(self) -> None:
        """Remove the switch, and strike it out of the ledger."""
        if not self._closed:
            self._switch.remove(self._host)
            self._ledger.close(self._record)
            self._closed = True


def open_network(host: HypervHost, ledger: Ledger, address: str, purpose: str) -> HypervNetwork:
    """A new switch that leads to nothing: not to the host, not to its network. Raises HostError."""
    record = ledger.open("hyperv", f"private network of {purpose}")
    switch = PrivateSwitch.of(record, address)
    network = HypervNetwork(host, ledger, record, switch)
    try:
        host.do(cmdlets.private_switch(switch.name, switch.notes), achieved=lambda: switch.found(host) or None)
    except BaseException as failure:
        try:
            network.close()
        except HypervError as left:
            failure.add_note(f"The switch may be there ({left.message}); after this run: pytest-hyperv gc")
        raise
    return network
