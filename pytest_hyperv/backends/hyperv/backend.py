"""The backend this plugin is for: Hyper-V on this machine or on another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from uuid import UUID, uuid4

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.backends.hyperv import cmdlets, making, moving, origin
from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.credentials import host_credential
from pytest_hyperv.backends.hyperv.golden import disk_on_host
from pytest_hyperv.backends.hyperv.guest_roads import access_to
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.host_book import HostBook
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.backends.hyperv.network import HypervNetwork, open_network
from pytest_hyperv.backends.hyperv.offer import capabilities, check_usable, host_facts
from pytest_hyperv.backends.hyperv.orphans import Orphan, find_orphans, tag
from pytest_hyperv.backends.hyperv.places import Place
from pytest_hyperv.backends.hyperv.probe import HypervFacts, probe
from pytest_hyperv.backends.hyperv.removal import remove_folder, remove_machine
from pytest_hyperv.backends.hyperv.roads import HostRoad
from pytest_hyperv.backends.hyperv.saved_state import SavedState, key_of
from pytest_hyperv.capabilities import Offer
from pytest_hyperv.errors import HypervError, StateError
from pytest_hyperv.lease_entries import Entry
from pytest_hyperv.leases import Lease, Need
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.progress import Progress
from pytest_hyperv.spec import Image, MachineSpec

FIRST_BOOT = 1800.0
"""Seconds the first boot of an image may take: Windows sets itself up, and Server 2025 reboots once while it does."""
BOOT = 600.0
SHUTDOWN = 300.0
FORMAT = "1"
"""Raised whenever saved states of this backend are made in another way."""


class HypervBackend:
    """See ``backends.base.Backend``. ``native`` opens PowerShell Direct from this process, where it is on the host."""

    name = "hyperv"
    recycles = True

    def __init__(self, cache: Path, address: HostAddress, *, native: bool) -> None:
        self._cache, self._address, self._native = cache, address, native
        self._ledger = Ledger(cache / "machines")

    @cached_property
    def host(self) -> HypervHost:
        """The host, connected at the first command."""
        return HypervHost(HostRoad(self._address, host_credential(self._address)))

    @cached_property
    def leases(self) -> HostBook:
        """The book on the host, of all computers that use it."""

        def folder() -> str:
            return f"{self.host.store}\\leases"

        return HostBook(self.host.open_process, folder, self._kept, host=self._address.name)

    def _kept(self) -> list[Entry[str]]:
        """What the machines take that runs of this computer kept on the host before they ended."""
        return [
            Entry(
                Lease(record.id, Need(record.memory, record.cpus), f"{record.name}, kept: {record.kept}"),
                f"process {record.owner.pid}",
                record.created,
            )
            for record in self._ledger.records()
            if record.kept and not record.owner.alive()
            if (place := Place.read(record.folder)) is not None and place.host == str(self._address)
        ]

    @cached_property
    def _facts(self) -> HypervFacts:
        with self.host.open_process() as session:
            return probe(session, self.host.name)

    @property
    def summary(self) -> str:
        """The host and its Windows, for the header."""
        return f"Hyper-V on {self._address.name}, {self._facts.caption} {self._facts.build}"

    def offer(self) -> Offer:
        """What the host can do. Raises CapabilityMissing, AccessDenied or HostUnreachable when it makes no machine."""
        check_usable(self._facts)
        return Offer(self.name, host_facts(self._facts), capabilities(self._facts))

    def fingerprint(self, spec: MachineSpec) -> Mapping[str, str]:  # noqa: ARG002
        """A disk that has booted once fits its host and the build of Windows there."""
        return {"host": str(self._address), "build": str(self._facts.build), "format": FORMAT}

    def build_state(self, image: Image, spec: MachineSpec, folder: Path, progress: Progress) -> None:
        """Boot a machine from ``image`` once, shut it down and seal its disk on the host."""
        place = f"{self.host.store}\\states\\{uuid4().hex}"
        state = SavedState(
            host=str(self._address),
            folder=place,
            disk=f"{place}\\state.vhdx",
            spec=spec,
            image=image.name,
            os_family=image.os_family,
            guest_road=image.guest_road,
            credentials=image.credentials,
            key=key_of(image),
        )
        access_to(state, self.host, native=self._native)
        parent = disk_on_host(self.host, image, progress, self.leases.alone, folder)
        state.write(folder)
        with progress.task(f"Booting {image.name} once ({spec.summary})", steps=3) as task:
            task.step("making the machine")
            machine = self._machine(state, parent, f"state of {image.name}", disk=state.disk)
            with _thrown_away_if_it_fails(machine):
                task.step("first boot")
                machine.start(FIRST_BOOT)
                task.step("shutting down and sealing")
                machine.shutdown(SHUTDOWN)
                machine.give_disk_away()
            machine.discard()

    def clone(self, state: Path, purpose: str) -> HypervMachine:
        """A running machine on a child of the state's disk, with a point to be reset to."""
        machine = self.created(state, purpose)
        with _thrown_away_if_it_fails(machine):
            machine.await_ready(BOOT)
            machine.verify_ready()
            if machine.spec.checkpoints != "off":
                machine.keep_as_clean()
        return machine

    def created(self, state: Path, purpose: str) -> HypervMachine:
        """A machine on a child of the state's disk that has been started; its guest boots. Raises StateError."""
        saved = SavedState.read(state)
        if not self.host.ask(cmdlets.exists(saved.disk)).one:
            raise StateError(
                f"the disk {saved.disk} of a state is gone from {self.host.name}",
                hint="it is built anew.",
                state=state.name,
            )
        machine = self._machine(saved, saved.disk, purpose)
        with _thrown_away_if_it_fails(machine):
            machine.power_on()
        return machine

    def saved_spec(self, state: Path) -> MachineSpec:
        """What the machines of the state in ``state`` are."""
        return SavedState.read(state).spec

    def save_state(self, machine: Machine, folder: Path) -> None:
        """Shut the machine down and keep a sealed copy of its disk on the host; what was in memory is given up."""
        assert isinstance(machine, HypervMachine)
        place = f"{self.host.store}\\states\\{uuid4().hex}"
        state = replace(machine.origin, folder=place, disk=f"{place}\\state.vhdx")
        machine.shutdown(SHUTDOWN)
        state.write(folder)
        with _undone_if_it_fails(lambda: remove_folder(self.host, place)):
            self.host.do(cmdlets.folder(place))
            machine.copy_disk(state.disk)
            self.host.do(cmdlets.read_only(state.disk))

    def open_network(self, purpose: str) -> HypervNetwork:
        """A private switch on the host."""
        return open_network(self.host, self._ledger, str(self._address), purpose)

    def close(self) -> None:
        """End the processes on the host; idempotent."""
        if "leases" in self.__dict__:
            self.leases.close()
        if "host" in self.__dict__:
            self.host.close()

    def remove_state(self, state: Path) -> None:
        """Remove what a state has on the host. Machines made from it must be gone."""
        remove_folder(self.host, SavedState.read(state).folder)

    def attach(self, record: Record, *, guest: bool) -> HypervMachine:  # noqa: ARG002 - there is room for all
        """The machine of a record, by its GUID. Its console is read from the first look on."""
        ident, state = origin.read(record)
        place = Place.read(record.folder)
        assert place is not None
        access = access_to(state, self.host, native=self._native)
        machine = HypervMachine(self.host, self._ledger, record, place, ident, state, access, console=False)
        machine.attach()
        return machine

    def imported(self, configuration: str, state: Path, purpose: str) -> HypervMachine:
        """A machine of its own from what ``HypervMachine.export`` wrote on the host, off or saved as it was exported.

        ``state`` is the one the exported machine came from: it says how the guest is reached. Raises CmdletError.
        """
        saved = SavedState.read(state)

        def make(name: str, place: Place, notes: str) -> UUID:
            return moving.import_copy(self.host, place, name, saved.spec, configuration, notes)

        return self._made(saved, purpose, "", make)

    def _machine(self, state: SavedState, parent: str, purpose: str, *, disk: str = "") -> HypervMachine:
        """A machine that is off, on a child of the disk ``parent``."""

        def make(name: str, place: Place, notes: str) -> UUID:
            locks = self._cache / "locks"
            return making.make(self.host, place, name, state.spec, parent=parent, locks=locks, notes=notes)

        return self._made(state, purpose, disk, make)

    def _made(
        self, state: SavedState, purpose: str, disk: str, make: Callable[[str, Place, str], UUID]
    ) -> HypervMachine:
        """What ``make`` makes, written down before. What is there of it when that fails is removed."""
        access = access_to(state, self.host, native=self._native)
        store = self.host.store
        record = self._ledger.open(self.name, purpose, memory=state.spec.memory, cpus=state.spec.cpus)
        place = Place.of(record, str(self._address), store, disk=disk)
        notes = tag(record, *self.leases.signature)
        with _undone_if_it_fails(lambda: self._clear_away(record, place)):
            ident = make(record.name, place, notes)
            origin.note(record, ident, state)
            console = state.os_family == "linux"
            return HypervMachine(self.host, self._ledger, record, place, ident, state, access, console=console)

    def orphans(self) -> list[Orphan]:
        """The machines on the host that no living run and no record here is responsible for."""
        known = {record.id for record in self._ledger.records()}
        return find_orphans(self.host, str(self._address), living=self.leases.living(), known=known)

    def _clear_away(self, record: Record, place: Place) -> None:
        remove_machine(self.host, place)
        self._ledger.close(record)


def _thrown_away_if_it_fails(machine: HypervMachine) -> AbstractContextManager[None]:
    return _undone_if_it_fails(machine.discard)


@contextmanager
def _undone_if_it_fails(undo: Callable[[], None]) -> Iterator[None]:
    """``undo`` after a failure, which stays the one that is told, also when nothing can be undone."""
    try:
        yield
    except BaseException as failure:
        try:
            undo()
        except HypervError as left:
            failure.add_note(f"What was made is still there ({left.message}); after this run: pytest-hyperv gc")
        raise
