"""100 short tests on three saved states, beside other ways to a clean machine: ``python -m benchmarks.suite``.

The suite runs with pytest, first to build its states, then with 1, 2 and 4 workers and without spares. Then the same
guest is brought back by each road in turn: rebooted, restored by libvirt, power-cycled by labgrid, cloned by us; and a
guest of 4 GiB that has 3 GiB in use by libvirt and by us. Same image, memory and accelerator; every road ends when the
guest has answered. A road whose tool cannot be had is left out, with the reason. Everything lies in temporary folders,
states in one beside the images of the cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite_labgrid import LabgridFailed, LabgridGuest
from benchmarks.suite_libvirt import LibvirtFailed, LibvirtGuest
from benchmarks.suite_resets import FILL, OwnMachines, reboot
from benchmarks.suite_tests import SuiteRun, median, percentile, run_suite, write_suite
from pytest_hyperv.backends.qemu.accelerator import probe
from pytest_hyperv.backends.qemu.tools import SYSTEM, program
from pytest_hyperv.cache import default_cache, prepare_cache
from pytest_hyperv.images import ImageStore
from pytest_hyperv.spec import GIB, MIB

REBOOT, LIBVIRT, LABGRID = "reboot per test", "libvirt: restore, fresh overlay", "labgrid: power cycle"
CLONE, SPARE = "ours, without a spare", "ours, a spare is warm"
LIBVIRT_FULL, CLONE_FULL = "libvirt, 3 GiB in use", "ours, no spare, 3 GiB in use"
PARTS = ("tests", "roads", "full")
"""The suite itself; the roads to a clean machine of 512 MiB; those to one that has 3 GiB in use."""
FILLED = 900.0
"""Seconds that filling a guest's memory may take."""
SUITE = "the suite's wait, 1 worker"
RATIOS = (
    (REBOOT, SPARE, 40),
    (REBOOT, SUITE, 40),
    (LABGRID, SPARE, 40),
    (LIBVIRT, SPARE, 8),
    (LIBVIRT, SUITE, 8),
    (LIBVIRT, CLONE, 2),
    (LIBVIRT_FULL, CLONE_FULL, 10),
)
"""How many times quicker the second is to be than the first."""

Reset = Callable[[], float]
Times = dict[str, list[float]]


@dataclass(frozen=True)
class Plan:
    """How much of everything: tests, runs by numbers of workers, and rounds; a slow road takes every third round."""

    tests: int
    workers: tuple[int, ...]
    rounds: int
    full_rounds: int

    @classmethod
    def of(cls, options: argparse.Namespace) -> Plan:
        """What the command line says, or little of it."""
        if options.quick:
            return cls(30, (1, 2), 6, 3)
        return cls(options.tests, tuple(options.workers), options.rounds, max(3, options.rounds // 3))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tests", type=int, default=100, help="tests in the suite")
    made.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="runs of the suite")
    made.add_argument("--rounds", type=int, default=15, help="clean machines by each road; slow ones: a third")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; all of it by default")
    made.add_argument("--quick", action="store_true", help="30 tests, two runs, 6 rounds")
    return made


def main() -> None:
    """Run everything and print the tables and the targets."""
    options = parser().parse_args()
    plan = Plan.of(options)
    runs: list[SuiteRun] = []
    times: Times = {}
    with own_cache() as cache:
        if "tests" in options.parts:
            runs = suite_runs(cache, plan)
            times[SUITE] = runs[1].waits
        if "roads" in options.parts:
            times |= shown(resets(cache, plan.rounds), runs)
        if "full" in options.parts:
            times |= shown(resets_of_a_full_guest(cache, plan.full_rounds), runs)
    print_targets(runs, times)


def load() -> str:
    """How busy the machine is."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at {time.strftime('%H:%M')}"


@contextmanager
def own_cache() -> Iterator[Path]:
    """A cache with the images of the user's, and no state."""
    user = prepare_cache(default_cache())
    ImageStore(user / "images").get("debian-12")
    folder = Path(tempfile.mkdtemp(prefix="suite-", dir=user))
    try:
        shutil.copytree(user / "images", folder / "images", copy_function=os.link)
        yield prepare_cache(folder)
    finally:
        shutil.rmtree(folder)


def suite_runs(cache: Path, plan: Plan) -> list[SuiteRun]:
    """The first run, which builds the states, one for each number of workers, and one without spares."""
    wanted = [("first run, 1 worker", ["-n", "1"])]
    wanted += [(f"{count} worker{'s' if count > 1 else ''}", ["-n", str(count)]) for count in plan.workers]
    wanted += [("1 worker, no spares", ["-n", "1", "--hyperv-spares", "0"])]
    print(f"{plan.tests} tests on 3 states; milliseconds a test waits for its machine, and does, and takes of the run")
    print(f"{'':24} {'wait p50':>9} {'p95':>7} {'body p50':>9} {'wall':>7}   states built", flush=True)
    runs = []
    with tempfile.TemporaryDirectory(prefix="suite-tests-") as name:
        write_suite(Path(name), plan.tests)
        for title, arguments in wanted:
            run = run_suite(Path(name), cache, title, *arguments)
            times = (median(run.waits), percentile(run.waits, 0.95), median(run.bodies), run.per_test)
            wait, worst, body, wall = (round(1000 * each) for each in times)
            print(f"{title:24} {wait:9} {worst:7} {body:9} {wall:7}   {run.built}", flush=True)
            runs.append(run)
    return runs


def resets(cache: Path, rounds: int) -> Times:
    """Seconds to a clean machine of 512 MiB, by road. They take turns: other work meets all of them."""
    own, roads, slow = OwnMachines(cache), dict[str, Reset](), dict[str, Reset]()
    with ExitStack() as stack:
        stack.callback(own.close)
        state = own.state(full=False)
        booted = own.booted(state)
        stack.callback(booted.discard)
        roads |= {CLONE: lambda: own.without_spare(state), SPARE: lambda: own.with_spare(state)}
        slow[REBOOT] = lambda: reboot(booted)
        with left_out(LIBVIRT):
            restored = stack.enter_context(LibvirtGuest(own.image, 512 * MIB, *of_host(cache)))
            restored.save()
            roads[LIBVIRT] = lambda: timed(restored.restore)
        with left_out(LABGRID):
            cycled = stack.enter_context(LabgridGuest(own.image, 512 * MIB, *of_host(cache)))
            slow[LABGRID] = lambda: timed(cycled.cycle)
        return in_turns(roads, slow, rounds)


def resets_of_a_full_guest(cache: Path, rounds: int) -> Times:
    """Seconds to a clean machine of 4 GiB, of which 3 are in use, by road."""
    own, roads = OwnMachines(cache), dict[str, Reset]()
    with ExitStack() as stack:
        stack.callback(own.close)
        state = own.state(full=True)
        roads[CLONE_FULL] = lambda: own.without_spare(state)
        with left_out(LIBVIRT_FULL):
            restored = stack.enter_context(LibvirtGuest(own.image, 4 * GIB, *of_host(cache)))
            restored.run(FILL, FILLED)
            restored.save()
            roads[LIBVIRT_FULL] = lambda: timed(restored.restore)
        return in_turns(roads, {}, rounds)


def in_turns(roads: dict[str, Reset], slow: dict[str, Reset], rounds: int) -> Times:
    """Every road once a round, the slow ones in every third."""
    times: Times = {}
    for number in range(rounds):
        for road, reset in {**roads, **(slow if number % 3 == 0 else {})}.items():
            times.setdefault(road, []).append(reset())
    return times


@contextmanager
def left_out(road: str) -> Iterator[None]:
    """Go on without a road whose tool cannot be had, and say why."""
    try:
        yield
    except (LibvirtFailed, LabgridFailed) as error:
        print(f"{road}: left out, {error}", flush=True)


def of_host(cache: Path) -> tuple[str, str]:
    """What machines run with here: accelerator and emulator."""
    return probe(cache).accelerator, program(SYSTEM)


def timed(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def shown(times: Times, runs: list[SuiteRun]) -> Times:
    """Print a line for each road, with what a test of the suite would take by it when the suite was run."""
    print(f"\n{load()}")
    print(f"{'milliseconds to a clean machine, by turns':42} {'p50':>8} {'p95':>8} {'rounds':>7} {'with a test':>12}")
    for road, seconds in times.items():
        wait, worst = median(seconds) * 1000, percentile(seconds, 0.95) * 1000
        test = f"{wait + median(runs[1].bodies) * 1000:.0f}" if runs else "-"
        print(f"{road:42} {wait:8.0f} {worst:8.0f} {len(seconds):7} {test:>12}", flush=True)
    return times


def print_targets(runs: list[SuiteRun], times: Times) -> None:
    """What was to be shown, as far as it was measured, and whether it was."""
    print()
    for road in (SUITE, SPARE):
        if road in times:
            at_most(f"{road}, p50 (ms)", median(times[road]) * 1000, 50)
    for run in runs[1:2]:
        at_most("states built by the second run", run.built, 0)
    for theirs, ours, ratio in RATIOS:
        if theirs in times and ours in times:
            at_least(f"{theirs} / {ours}", median(times[theirs]) / median(times[ours]), ratio)


def at_most(name: str, value: float, limit: float) -> None:
    """Print one figure beside its target."""
    print(f"{name:64} {value:8.1f}   at most {limit:g}: {'met' if value <= limit else 'MISSED'}")


def at_least(name: str, value: float, limit: float) -> None:
    """Print one figure beside its target."""
    print(f"{name:64} {value:8.1f}   at least {limit:g}: {'met' if value >= limit else 'MISSED'}")


if __name__ == "__main__":
    main()
