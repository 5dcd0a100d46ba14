"""Machines that a person asked for: made outside of any run, kept, and let in like those of tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from pytest_hyperv.admission import Admission
from pytest_hyperv.backends.base import Machine
from pytest_hyperv.backends.registry import open_backend, reclaim
from pytest_hyperv.cli.screen import progress_here
from pytest_hyperv.errors import NoRoom
from pytest_hyperv.leases import Limits, Need
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states.store import StateStore
from pytest_hyperv.visits import BY_HAND

NEXT_STEP = (
    "ask for less (--memory, --cpus), remove kept machines (pytest-hyperv gc --kept), wait longer (--room-timeout), or "
    "give more (--budget)."
)
"""What a person can do where there is no room; the words for tests name pytest's options."""


class MachinesByHand:
    """The way to machines of one backend on one host; leaving the context closes it, the machines go on."""

    def __init__(self, cache: Path, backend: str, host: str, limits: Limits, room_timeout: float) -> None:
        """``limits`` is what all machines may take of the host, ``room_timeout`` how many seconds to wait for room."""
        self._backend = opened = open_backend(backend, cache, host=host)
        self._states = StateStore(cache / "states", opened)
        self._progress = progress_here()
        self._admission = Admission(
            opened.leases,
            lambda: limits.on(opened.offer().facts),
            self._progress,
            timeout=room_timeout,
            reap=Ledger(cache / "machines", reclaim).reap,
        )

    def of_state(self, folder: Path, seconds: float) -> str:
        """A machine of the state saved in ``folder``, kept for ``seconds``; its name. Raises what ``of_image`` does."""
        spec = self._backend.saved_spec(folder)
        return self._kept(spec, seconds, lambda: self._states.clone_saved(folder, BY_HAND))

    def of_image(self, image: Image, spec: MachineSpec, seconds: float) -> str:
        """A machine of an image, kept for ``seconds``; its name.

        Raises NoRoom when there is none in time, and what making a machine raises; nothing is left behind then.
        """
        return self._kept(spec, seconds, lambda: self._states.clone(image, spec, BY_HAND, self._progress))

    def _kept(self, spec: MachineSpec, seconds: float, make: Callable[[], Machine]) -> str:
        """The lease is held until this process ends: from then on the machine's own record counts."""
        try:
            (lease,) = self._admission.admit(Need.of(spec), BY_HAND, lambda _: False)
        except NoRoom as refused:
            refused.hint = NEXT_STEP
            raise
        try:
            machine = make()
            try:
                self._states.keep(machine, BY_HAND, seconds, running=True)
            except BaseException:
                machine.discard()
                raise
        except BaseException:
            self._admission.give_back(lease)
            raise
        return machine.name

    def __enter__(self) -> MachinesByHand:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._states.close()
        self._backend.close()
