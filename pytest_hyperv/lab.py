"""Everything a test run holds once it needs machines: images, states, and the hosts of each backend."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_hyperv.admission import Admission
from pytest_hyperv.backends.base import Backend, Machine
from pytest_hyperv.backends.registry import automatic, forget_state, forget_unfinished, open_backend, reclaim
from pytest_hyperv.cache import prepare_cache
from pytest_hyperv.capabilities import Offer
from pytest_hyperv.durations import written
from pytest_hyperv.errors import CapabilityMissing, HypervError
from pytest_hyperv.figures import Figures
from pytest_hyperv.images import ImageStore
from pytest_hyperv.inventory import Host
from pytest_hyperv.leases import Limits
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.loan import Loan
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.markers import Wish
from pytest_hyperv.placement import Placement, Site
from pytest_hyperv.pool import Kind, Pool, reopened_words
from pytest_hyperv.private_network import PrivateNetwork
from pytest_hyperv.stash import CANNOT, NONE_CAN, RUN, SETTINGS, TIMELINE
from pytest_hyperv.states.record import StateRecord, sweep
from pytest_hyperv.states.shelf import Shelf
from pytest_hyperv.states.store import StateStore
from pytest_hyperv.terminal import progress_of
from pytest_hyperv.timeline import Timeline
from pytest_hyperv.transcript import Transcript
from pytest_hyperv.visits import command_to_enter


def lab_of(config: pytest.Config) -> Lab:
    """The lab of this process, set up at the first call."""
    lab = config.stash.get(RUN, None)
    if lab is None:
        lab = config.stash[RUN] = Lab(config)
    assert isinstance(lab, Lab)
    return lab


class Lab:
    """Hands out machines to tests and takes them back."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.settings = config.stash[SETTINGS]
        self.progress = progress_of(config)
        self._timeline = config.stash.get(TIMELINE, Timeline(0))
        self._kept: list[str] = []
        self._placements: dict[str, Placement] = {}

    @cached_property
    def cache(self) -> Path:
        """The folder of images, states and machines; what dead runs left there is removed first."""
        cache = prepare_cache(self.settings.cache)
        ledger = Ledger(cache / "machines", reclaim)
        ledger.reap()
        swept = sweep(cache / "states", lambda folder: forget_unfinished(cache, folder))
        for failure in ledger.failures + swept.failures:
            self._warn(f"what a dead run left could not be removed: {failure}")
        return cache

    @cached_property
    def images(self) -> ImageStore:
        """The golden images."""
        return ImageStore(self.cache / "images")

    def offer(self) -> Offer:
        """What the backend that tests get by default can do, on the first of its hosts that still gets machines."""
        return self.placement(self.backend_name()).any.offer()

    def backend_name(self, own: str = "") -> str:
        """The backend for a test: its own word, the setting, the first host's, or what fits this operating system."""
        for name in (own, self.settings.backend):
            if name and name != "auto":
                return name
        return self.settings.hosts[0].backend if self.settings.hosts else automatic()

    def placement(self, backend: str) -> Placement:
        """The hosts of one backend. Raises CapabilityMissing when the inventory has none."""
        if backend not in self._placements:
            hosts = [host for host in self.settings.hosts if host.backend == backend]
            if self.settings.hosts and not hosts:
                reason = f"no host that may be used is one of {backend}"
                raise CapabilityMissing(
                    reason, hint=f"add one to {self.settings.inventory}.", missing={f"backend {backend}": reason}
                )
            alone = Host(self.settings.host, self.settings.host, backend)
            self._placements[backend] = Placement(hosts or [alone], self._open_pool, warn=self._warn)
        return self._placements[backend]

    def pool(self, backend: str) -> Pool:
        """The pool of the first host of a backend. Raises CapabilityMissing when that does not run here."""
        return self.placement(backend).any.pool

    def _open_pool(self, host: Host) -> Pool:
        found = self._config.hook.pytest_hyperv_backend(name=host.backend, cache=self.cache, host=host.address)
        opened: Backend = found or open_backend(
            host.backend, self.cache, host=host.address, psdirect=self.settings.psdirect
        )
        states = StateStore(
            self.cache / "states",
            opened,
            sources=self._config.rootpath,
            run=_name_of_run(self._config),
            timeline=self._timeline,
        )
        return Pool(
            opened,
            states,
            self.images.get,
            self._admission(opened, host),
            spares=self.settings.spares,
            progress=self.progress,
            timeline=self._timeline,
        )

    def _admission(self, backend: Backend, host: Host) -> Admission:
        limits = host.limits.overridden(self.settings.budget or Limits())
        return Admission(
            backend.leases,
            lambda: limits.on(backend.offer().facts),
            self.progress,
            timeout=self.settings.room_timeout,
            reap=self.reap,
        )

    def reap(self) -> None:
        """Remove the machines of dead workers and runs; one that cannot be removed is left to the next run."""
        Ledger(self.cache / "machines", reclaim).reap()

    def _warn(self, message: str) -> None:
        self._config.issue_config_time_warning(pytest.PytestWarning(message), stacklevel=3)

    # -- gating

    def gate(self, wish: Wish) -> None:
        """Skip the running test when the host cannot do what it needs; fail it when requirements are strict."""
        missing = self.missing(wish)
        if missing:
            self._unmet(missing, NONE_CAN if len(self.settings.hosts) > 1 else CANNOT)

    def missing(self, wish: Wish) -> dict[str, str]:
        """What stands in the way of ``wish``: see `Placement.missing`."""
        try:
            return self.placement(self.backend_name(wish.backend)).missing(wish.requirements)
        except CapabilityMissing as error:
            return error.missing

    def require_powershell(self, vm: VirtualMachine) -> None:
        """Skip or fail the running test when the guest has no PowerShell."""
        try:
            vm.require_powershell()
        except CapabilityMissing as error:
            self._unmet(error.missing)

    def check_nested(self, vm: VirtualMachine) -> None:
        """Skip or fail the running test when a Linux guest's processor shows no virtualization after all."""
        if vm.image.os_family == "linux" and not vm.run(["grep", "-qwE", "svm|vmx", "/proc/cpuinfo"]):
            self._unmet({"nested": "the processor shows no virtualization inside the guest"})

    def _unmet(self, missing: dict[str, str], who: str = CANNOT) -> NoReturn:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        if self.settings.strict:
            pytest.fail(f"requirements not met (--hyperv-strict): {reasons}", pytrace=False)
        pytest.skip(f"{who}{reasons}")

    # -- machines

    def lend(self, wish: Wish, purpose: str, network: PrivateNetwork, *, more_to_come: bool = False) -> Loan:
        """A clean, running machine for ``purpose``, the node id of whoever asked for it.

        One that is to have a private network has a place on ``network``, which is yet to be settled.
        Skips or fails the test whose machine turns out to need what the host, or the way into the guest, has not.
        """

        def lease(pool: Pool, kind: Kind) -> tuple[Machine, ...]:
            return (pool.lease(kind.spec, purpose, state=kind.state, more_to_come=more_to_come),)

        (loan,) = self._lent(wish, purpose, network, lease, more_to_come=more_to_come)
        return loan

    def lend_several(self, wish: Wish, purpose: str, network: PrivateNetwork, count: int) -> list[Loan]:
        """So many machines of one kind on one host, for which there is room together. As of ``lend`` otherwise."""

        def lease(pool: Pool, kind: Kind) -> tuple[Machine, ...]:
            return pool.lease_several(kind.spec, purpose, count, state=kind.state)

        return self._lent(wish, purpose, network, lease, count=count)

    def _lent(
        self,
        wish: Wish,
        purpose: str,
        network: PrivateNetwork,
        lease: Callable[[Pool, Kind], tuple[Machine, ...]],
        *,
        count: int = 1,
        more_to_come: bool = False,
    ) -> list[Loan]:
        backend = self.backend_name(wish.backend)
        placement, image = self.placement(backend), self.images.get(wish.spec.image)
        state = wish.state.name if wish.state is not None else ""
        try:
            kind = Kind(wish.spec.on(image), wish.state)
            with self._timeline.span("lease", state=state, purpose=purpose) as span:
                home = network.home if wish.spec.network == "private" else None
                site, machines = placement.lease(
                    wish.requirements, kind, lambda pool: lease(pool, kind), count=count, home=home
                )
                span.machine = ", ".join(machine.name for machine in machines)
        except CapabilityMissing as error:
            self._unmet(error.missing)
        loans = []
        for machine in machines:
            kept = Transcript(kept=self.settings.evidence != "never")
            vm = VirtualMachine(machine, image, backend, timeout=wish.timeout, transcript=kept)
            vm.way_in = command_to_enter(vm.name, self.cache)
            loans.append(
                Loan(
                    vm,
                    partial(self._take_back, site.pool, vm, machine, state or image.name, more_to_come),
                    state,
                    host=site.host.name,
                    host_failed=partial(placement.lost, site),
                )
            )
        if wish.spec.network == "private":
            try:
                for machine, loan in zip(machines, loans, strict=True):
                    loan.vm.membership = network.admit(site.pool.backend, machine, image)
            except BaseException:
                for loan in loans:
                    loan.give_back()
                raise
        return loans

    def _take_back(self, pool: Pool, vm: VirtualMachine, machine: Machine, state: str, more_to_come: bool) -> None:
        vm.membership.leave()
        reopened = tuple(machine.reopened)
        if not (vm.kept and self._keeps(pool, vm, machine)):
            pool.release(machine, more_to_come=more_to_come)
        for why in reopened:
            self._warn(reopened_words(state, why))

    def _keeps(self, pool: Pool, vm: VirtualMachine, machine: Machine) -> bool:
        """Keep a machine that is to be kept, and note what became of it for the summary."""
        seconds = self.settings.keep_for
        try:
            pool.keep(machine, vm.kept, seconds)
        except HypervError as error:
            self._kept.append(f"{vm.name} is not kept ({vm.kept}): {error.message}")
            return False
        self._kept.append(f"kept {vm.name} for {written(seconds)} ({vm.kept}): {vm.way_in}")
        return True

    def prepare(self, wish: Wish) -> None:
        """Have the state that ``wish`` starts from in the cache, for tests to come."""
        image = self.images.get(wish.spec.image)
        placement = self.placement(self.backend_name(wish.backend))
        placement.prepare(wish.requirements, Kind(wish.spec.on(image), wish.state))

    def figures(self) -> Figures:
        """What this process made so far."""
        total = Figures(kept=list(self._kept))
        for pool in self._pools:
            tally = pool.tally
            if tally.made:
                where = [f"{pool.backend.name} ({pool.backend.summary})"]
                total.add(
                    Figures(
                        tally.made,
                        tally.from_spare,
                        pool.states.built,
                        tally.waited,
                        where,
                        sorted(tally.images),
                        states=[asdict(use) for use in pool.states.uses.all()],
                        reopened=list(tally.reopened),
                    )
                )
        return total

    def close(self) -> None:
        """End every machine that is left, then what was opened to reach their hosts. States over the limit go."""
        self._prune()
        failures = []
        for site in self._sites:
            try:
                site.close()
            except HypervError as error:
                if site.drained:
                    self._warn(f"what is left on {site.host.name} goes once it answers, by the next run or gc: {error}")
                else:
                    failures.append(error)
        if failures:
            raise failures[0]

    @property
    def _sites(self) -> list[Site]:
        return [site for placement in self._placements.values() for site in placement.sites]

    @property
    def _pools(self) -> list[Pool]:
        return [site.pool for site in self._sites if site.is_open]

    def _forget(self, record: StateRecord, folder: Path) -> None:
        forget_state(self.cache, record.backend, record.host, folder)

    def _prune(self) -> None:
        """Keep to the limit of states, after a run that added some; what it used stays, however much that is."""
        limit = self.settings.states_limit
        if limit is None or not any(pool.states.built for pool in self._pools):
            return
        try:
            Shelf(self.cache / "states", self._forget).prune(limit)
        except (HypervError, OSError) as error:
            warnings.warn(pytest.PytestWarning(f"states over the limit could not be removed: {error}"), stacklevel=2)


def _name_of_run(config: pytest.Config) -> str:
    """The name that all workers of this run share, "" outside of workers."""
    return str(getattr(config, "workerinput", {}).get("testrunuid", ""))
