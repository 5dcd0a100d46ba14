"""Removing from its host what a run that died has left there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.credentials import host_credential
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.network import PrivateSwitch
from pytest_hyperv.backends.hyperv.places import Place
from pytest_hyperv.backends.hyperv.removal import remove_machine
from pytest_hyperv.backends.hyperv.roads import HostRoad
from pytest_hyperv.ledger import Record


def reclaim(record: Record) -> None:
    """Remove the machine, or the switch, that the record names. Raises HostUnreachable, AccessDenied, SettingsError."""
    place, switch = Place.read(record.folder), PrivateSwitch.read(record.folder)
    if place is not None:
        with _connected(place.host) as host:
            remove_machine(host, place)
    if switch is not None:
        with _connected(switch.host) as host:
            switch.remove(host)


@contextmanager
def _connected(where: str) -> Iterator[HypervHost]:
    address = HostAddress.parse(where)
    host = HypervHost(HostRoad(address, host_credential(address)))
    try:
        yield host
    finally:
        host.close()
