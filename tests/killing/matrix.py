"""Kill at each step in turn, and look each time at what the next run finds: the matrix.

The process that runs it has no threads: each life is forked from it, so that a step costs what the machine costs and
not an interpreter's start.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import psutil
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv.identity import ProcessIdentity, processes_marked
from tests.killing.forked import GREEN, TOLD, End, Forked, forked
from tests.killing.steps import MADE, Step, Steps

MARK = "PYTEST_HYPERV_KILLED_LIFE"
"""In the environment of every process that a life starts."""
GONE_WITHIN = 10.0
"""Seconds until what ends by itself once its maker is dead must have ended."""
Victim = Literal["run", "qemu", "swtpm", "host"]
"""The process that steps; the hypervisor's; the TPM's; every process of the simulated Hyper-V host."""
PROGRAMS = {"qemu": "qemu-system-x86", "swtpm": "swtpm", "host": ""}


class Bench(Protocol):
    """What lives and is looked at: one backend on one cache."""

    def live(self, steps: Steps) -> None:
        """A machine's life, its operations named. Raises HypervError when it cannot be lived to the end."""
        ...

    def stay(self, told: Callable[[], None]) -> None:
        """A machine of another run: it is there until ``told`` returns, and must then be well."""
        ...

    def reclaim(self) -> None:
        """What the next run, or ``pytest-hyperv gc``, does first. Raises AssertionError when it complains."""
        ...

    def left(self) -> list[str]:
        """What is in the cache and on the host, in words."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a kill at one step came to. ``told`` is the error of a run that lived on; ``faults`` is what is wrong."""

    step: Step
    victim: Victim
    reached: bool
    told: str = ""
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = "; ".join(self.faults) or ("as it should be" if self.reached else "not reached this time")
        return f"{self.victim} killed at {self.step}: {ends}" + (f" [{self.told}]" if self.told else "")


def recorded(bench: Bench, scratch: Path) -> list[Step]:
    """The steps of one whole life, in order. Raises AssertionError when it does not go well."""
    journal = scratch / "journal.jsonl"
    file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)

    def life() -> None:
        steps = Steps(lambda step: _write(file, step))
        steps.watch()
        bench.live(steps)

    end = forked(life)
    os.close(file)
    assert end.code == GREEN, end.text
    return [Step(*json.loads(line)) for line in journal.read_text("utf-8").splitlines()]


def _write(file: int, step: Step) -> None:
    os.write(file, json.dumps(step).encode() + b"\n")


def spread(steps: Sequence[Step], count: int) -> list[Step]:
    """``count`` of the steps, from the first to the last at even distances; all of them when there are no more."""
    if len(steps) <= count:
        return list(steps)
    return [steps[round(n * (len(steps) - 1) / max(count - 1, 1))] for n in range(count)]


def killable(steps: Iterable[Step]) -> list[Step]:
    """The steps at which something other than the run itself may be killed: an empty file is nothing to it."""
    return [step for step in steps if not step.what.startswith(MADE)]


def killed_at(bench: Bench, step: Step, victim: Victim) -> Outcome:
    """Let a life be lived up to ``step``, kill the victim there, and look at what is left once it was reclaimed."""
    before, mark = bench.left(), uuid.uuid4().hex
    with mmap.mmap(-1, 1) as reached:
        end = forked(lambda: _lived(bench, step, victim, mark, reached))
        was_reached = reached[0] == 1
    faults = _faults_of(end, victim, was_reached)
    if victim != "run":
        faults += [f"not cleared away by the run: {each}" for each in _eventually_left(bench, before, mark)]
    reclaimed = forked(bench.reclaim)
    if reclaimed.code != GREEN:
        faults.append(f"cannot be reclaimed: {reclaimed.text}")
    faults += _eventually_left(bench, before, mark)
    return Outcome(step, victim, was_reached, end.text.partition("\n")[0] if end.code == TOLD else "", faults)


def _lived(bench: Bench, step: Step, victim: Victim, mark: str, reached: mmap.mmap) -> None:
    os.environ[MARK] = mark

    def at(now: Step) -> None:
        if now != step or reached[0]:
            return
        if victim == "run":
            steps.bring_about()
            reached[0] = 1
            os.kill(os.getpid(), signal.SIGKILL)
        elif _killed(mark, PROGRAMS[victim]):
            reached[0] = 1

    steps = Steps(at)
    steps.watch()
    bench.live(steps)


def _killed(mark: str, program: str) -> bool:
    """Kill the marked processes of a program, and wait until they are dead; whether there were any."""
    chosen = [each for each in processes_marked(MARK, mark) if each.pid != os.getpid() and program in each.name()]
    identities = [found for each in chosen if (found := ProcessIdentity.of(each.pid)) is not None]
    for each in chosen:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    _until_none(lambda: [each.pid for each in identities if each.alive()])
    return bool(identities)


def _faults_of(end: End, victim: Victim, reached: bool) -> list[str]:
    if victim == "run" and reached:
        return [] if end.killed else [f"the run did not die: {end.code} {end.text}"]
    if end.code == GREEN or (reached and end.code == TOLD):
        return []
    return [f"the run ended with {end.code}: {end.text}"]


def _eventually_left(bench: Bench, before: list[str], mark: str) -> list[str]:
    left = _until_none(lambda: [each for each in bench.left() if each not in before])
    left += [f"missing: {each}" for each in before if each not in bench.left()]
    return left + [f"process {each} lives" for each in _until_none(lambda: _marked(mark))]


def _marked(mark: str) -> list[str]:
    found = []
    for process in processes_marked(MARK, mark):
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} ({' '.join(process.cmdline()[:3])})")
    return found


def _until_none(look: Callable[[], list[str]] | Callable[[], list[int]]) -> list[str]:
    waiting = Retrying(retry=retry_if_result(bool), stop=stop_after_delay(GONE_WITHIN), wait=wait_fixed(0.05))
    try:
        waiting(look)
    except RetryError as error:
        return [str(each) for each in error.last_attempt.result()]
    return []


@contextmanager
def neighbour(bench: Bench) -> Iterator[None]:
    """A living machine of another run for the length of the block. Raises AssertionError when it was harmed."""
    ready_in, ready_out = os.pipe()
    stay_in, stay_out = os.pipe()

    def told() -> None:
        os.close(stay_out)
        os.write(ready_out, b".")
        os.read(stay_in, 1)

    child = Forked(lambda: bench.stay(told))
    for ours in (ready_out, stay_in):
        os.close(ours)
    try:
        os.read(ready_in, 1)
        yield
    finally:
        os.close(stay_out)
        os.close(ready_in)
        end = child.finish()
        assert end.code == GREEN, f"the machine of another run was harmed: {end.code} {end.text}"


def sweep(bench: Bench, scratch: Path, choose: Callable[[list[Step]], list[tuple[Step, Victim]]]) -> Iterator[Outcome]:
    """The outcomes at the chosen steps, beside a machine of another run; the last life is lived to its end."""
    with neighbour(bench):
        for step, victim in choose(recorded(bench, scratch)):
            yield killed_at(bench, step, victim)
        recorded(bench, scratch)
