"""How much memory 20 live clones of one state take: ``python -m benchmarks.clones [--count N]``.

Proportional set size (PSS: a page that N processes share counts 1/N to each) of all processes of the machines, from
``/proc/PID/smaps_rollup``. Every guest has run a command first, so that it has touched what commands touch.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from pytest_hyperv.backends.qemu.backend import QemuBackend
from pytest_hyperv.backends.qemu.machine import QemuMachine
from pytest_hyperv.cache import default_cache, prepare_cache
from pytest_hyperv.images import ImageStore
from pytest_hyperv.progress import Lines
from pytest_hyperv.spec import MIB, MachineSpec
from pytest_hyperv.states.store import StateStore

BOOT = 600.0
KINDS = ("Pss", "Pss_Anon", "Pss_File")


def memory() -> dict[str, float]:
    """Bytes of all children of this process, by kind."""
    total = dict.fromkeys(KINDS, 0.0)
    for child in psutil.Process().children(recursive=True):
        for line in Path(f"/proc/{child.pid}/smaps_rollup").read_text("ascii").splitlines():
            kind, _, rest = line.partition(":")
            if kind in total:
                total[kind] += int(rest.split()[0]) * 1024
    return total


def row(name: str, seen: dict[str, float]) -> float:
    """Print one line of the table; returns the whole in bytes."""
    pss, own, files = (seen[kind] / MIB for kind in KINDS)
    print(f"{name:44} {pss:8.0f} {own:10.0f} {files:8.0f}", flush=True)
    return seen["Pss"]


def live(backend: QemuBackend, state: Path, stack: ExitStack) -> QemuMachine:
    """A clone that has run a command."""
    machine = backend.clone(state, "benchmark")
    stack.callback(machine.discard)
    machine.session.run(["true"]).check()
    return machine


def main() -> None:
    """Make the machines, print what they take, and the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="live clones")
    count = parser.parse_args().count
    cache = prepare_cache(default_cache())
    backend = QemuBackend(cache)
    states = StateStore(cache / "states", backend)
    state = states.ensure(ImageStore(cache / "images").get("debian-12"), MachineSpec(), Lines(print))
    print(f"{backend.summary}, debian-12 of 512 MiB, load {os.getloadavg()[0]:.1f}")
    print(f"{'MiB (PSS)':44} {'all':>8} {'of its own':>10} {'of files':>8}")
    with ExitStack() as stack:
        machine = live(backend, state, stack)
        one = row("one clone", memory())
        machine.kill()
        machine.start(BOOT)
        machine.session.run(["true"]).check()
        alone = row("one machine booted from its disk", memory())
    with ExitStack() as stack:
        began = time.perf_counter()
        for _ in range(count):
            live(backend, state, stack)
        took = time.perf_counter() - began
        many = row(f"{count} clones", memory())
    states.close()
    print(f"\n{count} clones were made, and ran a command, in {took:.1f} s")
    print(f"each further clone: {(many - one) / (count - 1) / MIB:.0f} MiB")
    for name, base in ("one clone", one), ("one machine booted from its disk", alone):
        print(f"{count} clones / {name}: {many / base:.2f}, at most 2.5: {'met' if many <= 2.5 * base else 'MISSED'}")


if __name__ == "__main__":
    main()
