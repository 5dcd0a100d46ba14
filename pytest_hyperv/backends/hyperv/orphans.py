"""Machines on a host whose run is gone and not written down here: it was on another computer, or its cache is lost.

What is ours is told by two things that must agree: the tag in the machine's notes, written before its first checkpoint,
and the folder that its files lie in. Whether its run lives is told by the host's book of leases.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from uuid import UUID

from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.places import Place
from pytest_hyperv.backends.hyperv.removal import remove_machine
from pytest_hyperv.backends.hyperv.seen import Seen
from pytest_hyperv.ledger import Record

_TAG = re.compile(r"pytest-hyperv (?P<record>[0-9a-f-]{36}) made (?P<made>\S+) by (?P<owner>[0-9a-f]{32}), (?P<who>.+)")


def tag(record: Record, owner: str, who: str) -> str:
    """What stands in the notes of a machine of ours. ``owner`` is its run's word in the book, ``who`` is for people."""
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
    return f"pytest-hyperv {record.id} made {made} by {owner}, {who}"


@dataclass(frozen=True)
class Orphan:
    """A machine nobody seems to be responsible for. ``made`` is when and by whom, in words."""

    id: UUID
    name: str
    made: str
    place: Place

    def remove(self, host: HypervHost) -> None:
        """Remove it with its files. Raises CmdletError, MachineError, HostUnreachable."""
        remove_machine(host, self.place)


def find_orphans(host: HypervHost, address: str, *, living: set[str], known: set[str]) -> list[Orphan]:
    """The machines of ours whose run is not among ``living`` and whose record is not among ``known``."""
    found = []
    for told in host.ask(cmdlets.all_machines()).all:
        seen = Seen.of(told)
        tagged = _TAG.fullmatch(seen.notes.strip())
        if tagged is None or tagged["owner"] in living or tagged["record"] in known:
            continue
        place = Place(address, f"{host.store}\\machines\\{tagged['record'].replace('-', '')}", "")
        if place.holds(seen.path):
            found.append(Orphan(seen.id, seen.name, f"made {tagged['made']} by {tagged['who']}", place))
    return found
