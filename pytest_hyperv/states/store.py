"""Finds states in the cache and builds those that are not there: once, whoever and however many need them."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import Timeout

from pytest_hyperv.backends.base import Backend, Machine, MachineState
from pytest_hyperv.errors import HostError, HypervError, MachineStateError, StateError
from pytest_hyperv.progress import Progress
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.states.declared import State
from pytest_hyperv.states.failures import Failures
from pytest_hyperv.states.keys import Keys, parent_of
from pytest_hyperv.states.recipe_machine import RecipeMachine
from pytest_hyperv.states.record import BUILDING, StateRecord, lock_of, note_use, read_record, take_away, whole
from pytest_hyperv.states.users import Users
from pytest_hyperv.states.uses import Uses
from pytest_hyperv.timeline import Timeline

BUILD_TIMEOUT = 3600.0
"""Seconds to wait for another run that builds the same state."""
FAILED = "failed-states"
"""Beside the folder of states: what is kept of recipes that failed."""


class StateStore:
    """The states of one backend below one folder; ``built`` counts those that this process had to build.

    ``uses`` tells what this process did with which states.
    """

    def __init__(
        self,
        root: Path,
        backend: Backend,
        *,
        sources: Path | None = None,
        run: str = "",
        timeline: Timeline | None = None,
    ) -> None:
        """``sources`` is what relative inputs are below; ``run`` names this run, the same in all of its workers."""
        self._root, self._backend = root, backend
        self._sources = sources or Path.cwd()
        self._keys = Keys(backend, self._sources)
        self._failures = Failures(root.parent / FAILED, run or uuid.uuid4().hex)
        self._users = Users(root)
        self._timeline = timeline or Timeline(0)
        self._origins: dict[str, str] = {}
        self.built = 0
        self.uses = Uses()

    def key(self, image: Image, spec: MachineSpec, state: State | None = None) -> str:
        """A digest over all that a saved machine depends on. Raises StateError when an input cannot be read."""
        return self._keys.key(image, spec, state)

    def folder(self, image: Image, spec: MachineSpec, state: State | None = None) -> Path:
        """Where the state lies, or will lie once it is built."""
        return self._root / self.key(image, spec, state)

    def has(self, image: Image, spec: MachineSpec, state: State | None = None) -> bool:
        """Whether the state is there already."""
        return whole(self.folder(image, spec, state))

    def ensure(self, image: Image, spec: MachineSpec, progress: Progress, state: State | None = None) -> Path:
        """The folder of the state, built first when it is not there, with those below it. One run builds, others wait.

        Without ``state`` it is the booted image. The state is not removed by anybody as long as this process lives.
        Raises StateError when a recipe fails or failed before in this run, HostError when the disk is full, and
        whatever the backend raises when the guest does not come up.
        """
        folder = self.folder(image, spec, state)
        if not (self._users.has_entered(folder.name) and whole(folder)):
            self._enter(image, spec, progress, state, folder)
        note_use(folder)
        return folder

    def rebuild(self, image: Image, spec: MachineSpec, progress: Progress, state: State | None = None) -> Path:
        """Replace a state whose files turned out damaged, unless somebody else has done so meanwhile."""
        folder = self.folder(image, spec, state)
        damaged = read_record(folder)

        def replace() -> None:
            if damaged is not None and read_record(folder) != damaged and whole(folder):
                return
            self._build(image, spec, folder, progress, state)

        self._exclusively(folder.name, _name(image, state), progress, replace)
        return folder

    def keep(self, machine: Machine, reason: str, seconds: float, *, running: bool = False) -> None:
        """Let a machine that was cloned here outlive this process, as ``Machine.keep`` does, and its state with it."""
        folder = machine.keep(reason, seconds, running=running)
        with contextlib.suppress(PermissionError):  # nobody can remove anything there either
            self._users.keep(self._origins.pop(machine.name), machine.name, folder)

    def close(self) -> None:
        """Say that this process makes no more machines from any state; others may remove them."""
        self._users.leave()

    def _enter(self, image: Image, spec: MachineSpec, progress: Progress, state: State | None, folder: Path) -> None:
        if whole(folder) and not os.access(self._root, os.W_OK):  # nobody can remove anything there either
            return

        def enter() -> None:
            if not whole(folder):
                self._build(image, spec, folder, progress, state)
            self._users.enter(folder.name)

        self._exclusively(folder.name, _name(image, state), progress, enter)

    def _exclusively(self, key: str, name: str, progress: Progress, work: Callable[[], None]) -> None:
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = lock_of(self._root, key)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                with (
                    progress.task(f"Waiting for another run that is at the state {name}", steps=1),
                    self._timeline.span("wait", state=name),
                ):
                    self._wait_for(lock.acquire, key, name)
            try:
                work()
            finally:
                lock.release()
        except OSError as error:
            raise HostError(
                f"a state cannot be saved below {self._root}: {error.strerror or error}",
                hint="free space there, or choose another folder with --hyperv-cache.",
            ) from error

    def _wait_for(self, acquire: Callable[[float], object], key: str, name: str) -> None:
        try:
            acquire(BUILD_TIMEOUT)
        except Timeout:
            raise StateError(
                f"another run has been at the state {name} for over {BUILD_TIMEOUT / 60:.0f} minutes",
                hint="see whether it is stuck, end it, and try again.",
                state=key,
            ) from None

    def _build(self, image: Image, spec: MachineSpec, folder: Path, progress: Progress, state: State | None) -> None:
        """Build a state in place of what may be there. Its lock is held."""
        if state is not None:
            self._failures.fail_again(folder.name, state)
        if folder.is_dir():
            with contextlib.suppress(StateError):  # its own note is what is damaged: the folder is all that can go
                self._backend.remove_state(folder)
            take_away(folder)
        building = self._root / f"{BUILDING}{folder.name}"
        if building.exists():
            self._forget_unfinished(building)
        building.mkdir(mode=0o700)
        try:
            if state is not None:  # so that what it takes is its own building
                self.ensure(image, spec, progress, parent_of(state))
            began = time.monotonic()
            with self._timeline.span("build", state=_name(image, state)):
                if state is None:
                    self._backend.build_state(image, spec, building, progress)
                    parent = None
                else:
                    parent = self._prepare(image, spec, building, progress, state)
            took = round(time.monotonic() - began, 1)
            self._record(image, spec, folder.name, state, parent, took).write(building)
            building.rename(folder)
            self.built += 1
            self.uses.count(folder, built=1)
        except BaseException as failure:
            try:
                self._forget_unfinished(building)
            except HypervError as left:
                failure.add_note(f"A part of it is still there ({left.message}); after this run: pytest-hyperv gc")
            raise
        self._failures.forget(folder.name)

    def _forget_unfinished(self, building: Path) -> None:
        with contextlib.suppress(StateError):  # nothing was noted yet, so nothing was made
            self._backend.remove_state(building)
        shutil.rmtree(building, ignore_errors=True)

    def clone(
        self, image: Image, spec: MachineSpec, purpose: str, progress: Progress, state: State | None = None
    ) -> Machine:
        """A running machine of the state; one that turns out damaged is built anew, once. Errors as of ``ensure``."""
        folder = self.ensure(image, spec, progress, state)
        try:
            return self._cloned(folder, purpose, _name(image, state))
        except StateError:
            return self._cloned(self.rebuild(image, spec, progress, state), purpose, _name(image, state))

    def clone_saved(self, folder: Path, purpose: str) -> Machine:
        """A running machine of the state that is saved in ``folder``, as it is there. Raises StateError."""
        with lock_of(self._root, folder.name):
            record = read_record(folder)
            if record is None or not whole(folder):
                raise StateError(
                    f"the state {folder.name} is gone, or what it stands on is",
                    hint="build it again: pytest-hyperv states build, or the tests that use it.",
                    state=folder.name,
                )
            self._users.enter(folder.name)
        note_use(folder)
        return self._cloned(folder, purpose, record.name)

    def _cloned(self, folder: Path, purpose: str, name: str) -> Machine:
        began = time.monotonic()
        with self._timeline.span("clone", state=name, purpose=purpose) as span:
            machine = self._backend.clone(folder, purpose)
            span.machine = machine.name
        self.uses.count(folder, clones=1, cloning=time.monotonic() - began)
        self._origins[machine.name] = folder.name
        return machine

    def _prepare(self, image: Image, spec: MachineSpec, folder: Path, progress: Progress, state: State) -> StateRecord:
        """Run a recipe on a machine of what it starts from, and save that in ``folder``; returns the former."""
        machine, parent = self._on_parent(image, spec, progress, state)
        vm = RecipeMachine(machine, image, self._backend.name, timeout=state.timeout, root=self._sources)
        try:
            with progress.task(f"Preparing {state.name} on {parent.name} ({spec.summary})", steps=2) as task:
                task.step("running its recipe")
                self._run(state, vm, folder.name.removeprefix(BUILDING))
                task.step("saving")
                self._backend.save_state(machine, folder)
        finally:
            machine.discard()
        if not self._keys.check_unchanged(state):
            raise StateError(
                f"the recipe of state {state.name}, or an input, was changed while the state was built",
                hint="run the tests again, once what is built before them is done.",
                state=folder.name,
            )
        return parent

    def _on_parent(
        self, image: Image, spec: MachineSpec, progress: Progress, state: State
    ) -> tuple[Machine, StateRecord]:
        below = self.ensure(image, spec, progress, parent_of(state))
        parent = read_record(below)
        machine = self.clone(image, spec, f"state {state.name}", progress, parent_of(state))
        if parent is not None and read_record(below) == parent:
            return machine, parent
        machine.discard()  # it was built anew meanwhile, and which of the two the machine stands on is not known
        return self._on_parent(image, spec, progress, state)

    def _run(self, state: State, vm: RecipeMachine, key: str) -> None:
        try:
            state(vm)
            if vm.state is not MachineState.RUNNING:
                raise MachineStateError(
                    f"{vm.name} must be running at the end of the recipe, it is {vm.state}",
                    hint="call vm.start() or vm.resume() in the recipe.",
                    machine=vm.name,
                )
        except (Exception, pytest.fail.Exception) as error:
            raise self._failures.keep(key, state, error, vm) from error

    def _record(
        self,
        image: Image,
        spec: MachineSpec,
        key: str,
        state: State | None,
        parent: StateRecord | None,
        took: float,
    ) -> StateRecord:
        return StateRecord(
            key=key,
            name=_name(image, state),
            recipe=f"{os.path.relpath(state.file, self._sources)}::{state.name}" if state else "",
            image=image.name,
            machine=spec.summary,
            backend=self._backend.name,
            host=self._backend.fingerprint(spec).get("host", "local"),
            parent=parent.key if parent else "",
            parent_build=parent.build if parent else "",
            build=uuid.uuid4().hex,
            created=time.time(),
            took=took,
        )


def _name(image: Image, state: State | None) -> str:
    return state.name if state else image.name
