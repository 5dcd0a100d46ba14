"""Hundreds of machines a day on a simulated host where all that passes goes wrong: ``python -m benchmarks.churn``

Each cycle creates a machine, takes a checkpoint, restores it and deletes the machine; several workers, each a process,
share the host. Printed: errors a user would see, retries by cause, what is left on the host and here, and whether an
error that never passes was tried once. Exit status 1 when anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.simulated import IMAGE, SimulatedLab, ensure_state, open_backend
from pytest_hyperv.backends.hyperv.saved_state import SavedState
from pytest_hyperv.errors import CmdletError, HypervError
from pytest_hyperv.spec import MachineSpec
from tests.hvsim.host.crashes import fill_disk
from tests.hvsim.host.faults import Fault, clear_faults, plan_fault
from tests.hvsim.host.inventory import left_over
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.world import SimHost

CYCLES, WORKERS, SPEED = 500, 4, 100.0
TIMEOUT = 3600.0
TIMES = 9
"""More often than a fault is to strike."""


def main() -> int:
    """Run the workers, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quiet-field", action="store_true", help="without the field's faults, to compare")
    parser.add_argument("--work", nargs=2, metavar=("CACHE", "CYCLES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(work(Path(options.work[0]), int(options.work[1]))))
        return 0
    with tempfile.TemporaryDirectory(prefix="pytest-hyperv-") as folder:
        field = not options.quiet_field
        lab = SimulatedLab(Path(folder), HostOptions(speed=SPEED, field=field, seed=options.seed))
        lab.enter()
        fine = churn(lab, options.cycles, options.workers)
        return int(not (tried_once(Path(folder) / "refusing") and fine))


def churn(lab: SimulatedLab, cycles: int, workers: int) -> bool:
    """All cycles, shared by the workers; whether they went as they should."""
    backend = open_backend(lab.cache)
    ensure_state(lab.cache, backend, MachineSpec(image=IMAGE))
    store = backend.host.store
    backend.close()
    began = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.churn", "--work", str(lab.cache), str(cycles // workers)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(workers)]
    told = [
        json.loads(process.communicate(timeout=TIMEOUT)[0] or '{"errors": ["the worker died"]}')
        for process in processes
    ]
    retries: Counter[str] = Counter()
    for one in told:
        retries.update(one.get("retries", {}))
    errors = [error for one in told for error in one["errors"]]
    left = left_over(lab.host, f"{store}\\machines") + [str(path) for path in _records(lab.cache)]
    done = sum(one.get("done", 0) for one in told)
    print(f"{done} of {cycles} cycles by {workers} workers in {time.monotonic() - began:.0f} s")
    print(f"errors a user would see: {len(errors)}", *errors[:10], sep="\n  ")
    print("retries by cause:", *(f"{count:6} {cause}" for cause, count in retries.most_common()), sep="\n  ")
    print(f"left behind: {len(left)}", *left[:10], sep="\n  ")
    return not errors and not left and done == cycles // workers * workers


def work(cache: Path, cycles: int) -> dict[str, object]:
    """The cycles of one worker."""
    backend = open_backend(cache)
    state = ensure_state(cache, backend, MachineSpec(image=IMAGE))
    errors, done = [], 0
    for number in range(cycles):
        try:
            machine = backend.clone(state, f"cycle {number} of {os.getpid()}")
            try:
                point = machine.checkpoint("point", memory=number % 2 == 0)
                machine.restore(point)
            finally:
                machine.discard()
            done += 1
        except HypervError as error:
            errors.append(f"{type(error).__name__}: {error.message}")
    backend.close()
    return {"done": done, "errors": errors, "retries": backend.host.patience.counts}


def tried_once(folder: Path) -> bool:
    """Whether nothing is tried again that a host refuses for a reason that lasts."""
    lab = SimulatedLab(folder, HostOptions(speed=SPEED))
    lab.enter()
    backend, fine = open_backend(lab.cache), True
    state = ensure_state(lab.cache, backend, MachineSpec(image=IMAGE))
    for words, bring_about in REFUSALS.items():
        bring_about(lab, state)
        try:
            backend.clone(state, f"refused: {words}").discard()
            outcome = "nothing was refused"
        except CmdletError as error:
            outcome = error.message
        clear_faults(lab.host)
        once = words in outcome and not backend.host.patience.counts
        print(f"{words}: {'tried once' if once else 'NOT tried once'}, {outcome}")
        fine &= once
    left = [each for each in left_over(lab.host, f"{backend.host.store}\\machines") if not each.startswith("process")]
    print(f"left behind by what was refused: {len(left)}", *left, sep="\n  ")
    backend.close()
    return fine and not left


def _without_rights(lab: SimulatedLab, _: Path) -> None:
    plan_fault(lab.host, Fault("access-denied", times=TIMES, on="New-VHD"))


def _with_a_full_disk(lab: SimulatedLab, _: Path) -> None:
    with SimHost(lab.host).transaction() as world:
        fill_disk(world)


def _with_too_much_asked(_: SimulatedLab, state: Path) -> None:
    saved = SavedState.read(state)
    replace(saved, spec=replace(saved.spec, memory=HostOptions().memory)).write(state)


def _with_its_parent_gone(lab: SimulatedLab, _: Path) -> None:
    with SimHost(lab.host).transaction() as world:
        for file in world.drives.files_below("C:\\"):
            if file.parent.name == "images":
                file.unlink()


REFUSALS: dict[str, Callable[[SimulatedLab, Path], None]] = {
    "required permission": _without_rights,
    "0x80070070": _with_a_full_disk,
    "0x8007000E": _with_too_much_asked,
    "0xC03A0014": _with_its_parent_gone,
}
"""Errors that never pass by themselves, by what each says, and what brings them about."""


def _records(cache: Path) -> list[Path]:
    folder = cache / "machines"
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


if __name__ == "__main__":
    sys.exit(main())
