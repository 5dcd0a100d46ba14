"""Removing from its host what a run that died has left there."""

from __future__ import annotations

from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.credentials import host_credential
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.places import Place
from pytest_hyperv.backends.hyperv.removal import remove_machine
from pytest_hyperv.backends.hyperv.roads import HostRoad
from pytest_hyperv.ledger import Record


def reclaim(record: Record) -> None:
    """Remove the machine and the files that the record names. Raises HostUnreachable, AccessDenied, SettingsError."""
    place = Place.read(record.folder)
    if place is None:
        return
    address = HostAddress.parse(place.host)
    host = HypervHost(HostRoad(address, host_credential(address)))
    try:
        remove_machine(host, place)
    finally:
        host.close()
