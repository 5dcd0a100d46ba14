"""Everything a test run holds once it needs machines: backends, images, states, and the pool of each backend."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_hyperv.backends.base import Backend
from pytest_hyperv.backends.registry import automatic, forget_state, open_backend, reclaim
from pytest_hyperv.cache import prepare_cache
from pytest_hyperv.capabilities import Offer
from pytest_hyperv.errors import CapabilityMissing, HypervError
from pytest_hyperv.figures import Figures
from pytest_hyperv.images import ImageStore
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.loan import Loan
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.markers import Wish
from pytest_hyperv.pool import Pool
from pytest_hyperv.stash import CANNOT, RUN, SETTINGS, TIMELINE
from pytest_hyperv.states.record import StateRecord, sweep
from pytest_hyperv.states.shelf import Shelf
from pytest_hyperv.states.store import StateStore
from pytest_hyperv.terminal import progress_of
from pytest_hyperv.timeline import Timeline


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
        self._pools: dict[str, Pool] = {}

    @cached_property
    def cache(self) -> Path:
        """The folder of images, states and machines; what dead runs left there is removed first."""
        cache = prepare_cache(self.settings.cache)
        ledger = Ledger(cache / "machines", reclaim)
        ledger.reap()
        for failure in ledger.failures:
            self._config.issue_config_time_warning(
                pytest.PytestWarning(f"a machine that a dead run left could not be removed: {failure}"), stacklevel=2
            )
        sweep(cache / "states")
        return cache

    @cached_property
    def images(self) -> ImageStore:
        """The golden images."""
        return ImageStore(self.cache / "images")

    def offer(self) -> Offer:
        """What the backend that tests get by default can do on its host."""
        return self.pool(self.backend_name()).backend.offer()

    def backend_name(self, own: str = "") -> str:
        """The backend for a test: its own word, then the setting, then what fits this operating system."""
        for name in (own, self.settings.backend):
            if name and name != "auto":
                return name
        return automatic()

    def pool(self, backend: str) -> Pool:
        """The pool of one backend. Raises CapabilityMissing when the backend does not run here."""
        if backend not in self._pools:
            found = self._config.hook.pytest_hyperv_backend(name=backend, cache=self.cache)
            opened: Backend = found or open_backend(
                backend, self.cache, host=self.settings.host, psdirect=self.settings.psdirect
            )
            states = StateStore(
                self.cache / "states",
                opened,
                sources=self._config.rootpath,
                run=_name_of_run(self._config),
                timeline=self._timeline,
            )
            self._pools[backend] = Pool(
                opened,
                states,
                self.images.get,
                spares=self.settings.spares,
                progress=self.progress,
                timeline=self._timeline,
            )
        return self._pools[backend]

    # -- gating

    def gate(self, wish: Wish) -> None:
        """Skip the running test when the host cannot do what it needs; fail it when requirements are strict."""
        missing = self.missing(wish)
        if missing:
            self._unmet(missing)

    def missing(self, wish: Wish) -> dict[str, str]:
        """What the host lacks of what ``wish`` needs, each with the reason. Raises HostError."""
        try:
            backend = self.pool(self.backend_name(wish.backend)).backend
            return backend.offer().missing(wish.requirements)
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

    def _unmet(self, missing: dict[str, str]) -> NoReturn:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        if self.settings.strict:
            pytest.fail(f"requirements not met (--hyperv-strict): {reasons}", pytrace=False)
        pytest.skip(f"{CANNOT}{reasons}")

    # -- machines

    def lend(self, wish: Wish, purpose: str, *, more_to_come: bool = False) -> Loan:
        """A clean, running machine for ``purpose``, the node id of whoever asked for it.

        Skips or fails the test whose machine turns out to need what the host, or the way into the guest, has not.
        """
        backend = self.backend_name(wish.backend)
        pool, image = self.pool(backend), self.images.get(wish.spec.image)
        state = wish.state.name if wish.state is not None else ""
        try:
            with self._timeline.span("lease", state=state, purpose=purpose) as span:
                machine = pool.lease(wish.spec.on(image), purpose, state=wish.state, more_to_come=more_to_come)
                span.machine = machine.name
        except CapabilityMissing as error:
            self._unmet(error.missing)
        vm = VirtualMachine(machine, image, backend, timeout=wish.timeout)
        return Loan(vm, lambda: pool.release(machine, more_to_come=more_to_come), state)

    def prepare(self, wish: Wish) -> None:
        """Have the state that ``wish`` starts from in the cache, for tests to come."""
        image = self.images.get(wish.spec.image)
        self.pool(self.backend_name(wish.backend)).prepare(wish.spec.on(image), wish.state)

    def figures(self) -> Figures:
        """What this process made so far."""
        total = Figures()
        for pool in self._pools.values():
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
                    )
                )
        return total

    def close(self) -> None:
        """End every machine that is left, then what was opened to reach their hosts. States over the limit go."""
        self._prune()
        for pool in self._pools.values():
            try:
                pool.close()
            finally:
                pool.backend.close()

    def _forget(self, record: StateRecord, folder: Path) -> None:
        forget_state(self.cache, record.backend, record.host, folder)

    def _prune(self) -> None:
        """Keep to the limit of states, after a run that added some; what it used stays, however much that is."""
        limit = self.settings.states_limit
        if limit is None or not any(pool.states.built for pool in self._pools.values()):
            return
        try:
            Shelf(self.cache / "states", self._forget).prune(limit)
        except (HypervError, OSError) as error:
            warnings.warn(pytest.PytestWarning(f"states over the limit could not be removed: {error}"), stacklevel=2)


def _name_of_run(config: pytest.Config) -> str:
    """The name that all workers of this run share, "" outside of workers."""
    return str(getattr(config, "workerinput", {}).get("testrunuid", ""))
