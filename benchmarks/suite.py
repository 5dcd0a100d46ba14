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
    made.add_argument("--quick", action="store_true", help="30 tests, two runs, 6 rounds")
    return made


def main() -> None:
    """Run everything and print the tables and the targets."""
    plan = Plan.of(parser().parse_args())
    with own_cache() as cache:
        print(f"{load()}\n", flush=True)
        runs = suite_runs(cache, plan)
        print(f"\n{load()}\n", flush=True)
        times = resets(cache, plan)
    print(f"\n{load()}\n")
    print_resets(times, median(runs[1].bodies))
    print()
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


def resets(cache: Path, plan: Plan) -> dict[str, list[float]]:
    """Seconds to a clean machine, by road. The roads take turns, so that what else the machine does meets them all."""
    emulator, accelerator = program(SYSTEM), probe(cache).accelerator
    times: dict[str, list[float]] = {}
    with ExitStack() as stack:
        own = OwnMachines(cache)
        stack.callback(own.close)
        state = own.state(full=False)
        rebooted = own.booted(state)
        stack.callback(rebooted.discard)
        slow: dict[str, Callable[[], float]] = {REBOOT: lambda: reboot(rebooted)}
        quick: dict[str, Callable[[], float]] = {
            CLONE: lambda: own.without_spare(state),
            SPARE: lambda: own.with_spare(state),
        }
        try:
            cycled = stack.enter_context(LabgridGuest(own.image, 512 * MIB, accelerator, emulator))
            slow[LABGRID] = lambda: timed(cycled.cycle)
        except LabgridFailed as error:
            print(f"{LABGRID}: left out, {error}")
        try:
            restored = stack.enter_context(LibvirtGuest(own.image, 512 * MIB, accelerator, emulator))
            restored.save()
            quick[LIBVIRT] = lambda: timed(restored.restore)
        except LibvirtFailed as error:
            print(f"{LIBVIRT}: left out, {error}")
        for number in range(plan.rounds):
            for road, reset in {**quick, **(slow if number % 3 == 0 else {})}.items():
                times.setdefault(road, []).append(reset())
    with ExitStack() as stack:
        own = OwnMachines(cache)
        stack.callback(own.close)
        state = own.state(full=True)
        full: dict[str, Callable[[], float]] = {CLONE_FULL: lambda: own.without_spare(state)}
        try:
            restored_full = stack.enter_context(LibvirtGuest(own.image, 4 * GIB, accelerator, emulator))
            restored_full.run(FILL, 600)
            restored_full.save()
            full[LIBVIRT_FULL] = lambda: timed(restored_full.restore)
        except LibvirtFailed as error:
            print(f"{LIBVIRT_FULL}: left out, {error}")
        for _ in range(plan.full_rounds):
            for road, reset in full.items():
                times.setdefault(road, []).append(reset())
    return times


def timed(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def print_resets(times: dict[str, list[float]], body: float) -> None:
    """A line for each road, with what a test of the suite would take of the run by it."""
    print(f"{'milliseconds to a clean machine, by turns':42} {'p50':>8} {'p95':>8} {'rounds':>7} {'with a test':>12}")
    for road, seconds in times.items():
        wait, worst = median(seconds), percentile(seconds, 0.95)
        print(f"{road:42} {wait * 1000:8.0f} {worst * 1000:8.0f} {len(seconds):7} {(wait + body) * 1000:12.0f}")


def print_targets(runs: list[SuiteRun], times: dict[str, list[float]]) -> None:
    """What was to be shown, and whether it was."""
    second, milliseconds = runs[1], 1000.0
    waits = {**times, SUITE: second.waits}
    at_most("wait in the suite, p50 (ms)", median(second.waits) * milliseconds, 50)
    at_most("wait for a warm spare, p50 (ms)", median(times[SPARE]) * milliseconds, 50)
    at_most("states built by the second run", second.built, 0)
    for theirs, ours, ratio in RATIOS:
        if theirs in times:
            at_least(f"{theirs} / {ours}", median(waits[theirs]) / median(waits[ours]), ratio)


def at_most(name: str, value: float, limit: float) -> None:
    """Print one figure beside its target."""
    print(f"{name:64} {value:8.1f}   at most {limit:g}: {'met' if value <= limit else 'MISSED'}")


def at_least(name: str, value: float, limit: float) -> None:
    """Print one figure beside its target."""
    print(f"{name:64} {value:8.1f}   at least {limit:g}: {'met' if value >= limit else 'MISSED'}")


if __name__ == "__main__":
    main()
