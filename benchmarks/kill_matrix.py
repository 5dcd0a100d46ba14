"""Kill a run, or what works for it, at every step, and see what is left: ``python -m benchmarks.kill_matrix``

A first life records its steps (see ``tests.killing.steps``); then one life after the other is killed at one of them,
what it left is reclaimed by ``gc``, and the cache must be as before, with no process left. All of it beside a machine
of another run, which must not notice. Printed: how many steps each operation has and what came of them. Exit status 1
when anything is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pytest_hyperv.cache import default_cache
from pytest_hyperv.spec import MachineSpec
from tests.killing.forked import GREEN, End, forked
from tests.killing.hyperv_lives import HypervBench, HypervRecipeBench, HypervStateBench
from tests.killing.matrix import Bench, Outcome, Victim, killable, spread, sweep
from tests.killing.qemu_lives import BootBench, QemuBench, RecipeBench, ensure_base
from tests.killing.steps import Step

QEMU = {"machine": QemuBench, "recipe": RecipeBench, "boot": BootBench}
HYPERV = {"hyperv-machine": HypervBench, "hyperv-recipe": HypervRecipeBench, "hyperv-state": HypervStateBench}
PLAIN, WITH_TPM = MachineSpec(), MachineSpec(tpm=True, secure_boot="uefi-ca")


def main() -> int:
    """Sweep what was asked for."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="pytest-hyperv-kill-") as folder:
        scratch = Path(folder)
        (scratch / "tmp").mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch / "tmp")
        bench = _bench(options, scratch)
        return int(not swept(bench, scratch, options.victim, options.steps, options.only))


def _bench(options: argparse.Namespace, scratch: Path) -> Bench:
    if options.life in HYPERV:
        simulated = HYPERV[options.life](scratch / "simulated")
        _required(forked(simulated.prepare))
        return simulated
    shared, spec = Path(options.cache).absolute(), WITH_TPM if options.tpm else PLAIN
    _required(forked(lambda: ensure_base(shared, spec)))
    return QEMU[options.life](shared, scratch / "cache", spec)


def _required(end: End) -> None:
    if end.code != GREEN:
        sys.exit(end.text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", default=default_cache(), help="where the image is, and its state is kept")
    parser.add_argument("--life", choices=(*QEMU, *HYPERV), default="machine")
    parser.add_argument("--tpm", action="store_true", help="machines with a TPM and Secure Boot")
    parser.add_argument("--victim", choices=("run", "qemu", "swtpm", "host"), default="run")
    parser.add_argument("--steps", type=int, default=10**6, help="how many of the steps, evenly spread; default: all")
    parser.add_argument("--only", default="", help="only steps whose name begins like this")
    return parser.parse_args()


def swept(bench: Bench, scratch: Path, victim: Victim, count: int, only: str) -> bool:
    """Sweep, print, and say whether all was as it should be."""
    began, all_of, outcomes = time.monotonic(), Counter[str](), list[Outcome]()

    def choose(steps: list[Step]) -> list[tuple[Step, Victim]]:
        all_of.update(step.operation for step in steps)
        there = [step for step in steps if str(step).startswith(only)]
        return [(step, victim) for step in spread(there if victim == "run" else killable(there), count)]

    for outcome in sweep(bench, scratch, choose):
        outcomes.append(outcome)
        if outcome.faults or outcome.told:
            print(f"  {outcome}", flush=True)
    for operation, number in all_of.items():
        mine = [outcome for outcome in outcomes if outcome.step.operation == operation]
        wrong, missed = sum(bool(each.faults) for each in mine), sum(not each.reached for each in mine)
        print(f"{operation:24} {number:4} steps, {len(mine):4} kills of {victim}, {missed} not reached, {wrong} wrong")
    wrong = sum(bool(outcome.faults) for outcome in outcomes)
    print(f"{len(outcomes)} kills of {victim} in {time.monotonic() - began:.0f} s, {wrong} wrong")
    return wrong == 0


if __name__ == "__main__":
    sys.exit(main())
