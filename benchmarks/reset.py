"""How long a test waits for a clean machine, beside what else QEMU offers: ``python -m benchmarks.reset [--rounds N]``.

One run, one image, one machine kind, all roads in turn: cold boot, ``loadvm``, a clone made by hand, our reset, and our
reset with a warm spare; then clones of a 512 MiB and a 4 GiB machine. Every road ends when the guest has answered,
where the name does not say otherwise.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.by_hand import LoadedSnapshot, RawClone
from pytest_hyperv.admission import Admission
from pytest_hyperv.backends.qemu.backend import QemuBackend
from pytest_hyperv.backends.qemu.machine import QemuMachine
from pytest_hyperv.cache import default_cache, prepare_cache
from pytest_hyperv.images import ImageStore
from pytest_hyperv.leases import Budget
from pytest_hyperv.pool import Pool
from pytest_hyperv.progress import Lines
from pytest_hyperv.spec import GIB, MachineSpec
from pytest_hyperv.states.store import StateStore

BOOT = 600.0


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def row(name: str, times: list[float], note: str = "") -> float:
    """Print one line of the table; returns the median in seconds."""
    middle = statistics.median(times)
    spread = f"{min(times) * 1000:8.0f} {middle * 1000:8.0f} {max(times) * 1000:8.0f}"
    print(f"{name:44} {spread}   {note}", flush=True)
    return middle


def cold_boots(machine: QemuMachine, rounds: int) -> list[float]:
    """Power-on to the first answer, of a machine that is off."""
    times = []
    for _ in range(rounds):
        machine.kill()
        times.append(seconds(lambda: machine.start(BOOT)))
    return times


def clone(backend: QemuBackend, state: Path) -> tuple[float, float]:
    """Seconds until a clone's processors run, and until its guest has answered."""
    began = time.perf_counter()
    machine = backend.running(state, "benchmark")
    running = time.perf_counter() - began
    machine.verify_ready()
    answering = time.perf_counter() - began
    machine.discard()
    return running, answering


def main() -> None:
    """Run everything and print the table and the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="clones per road; cold boots are a fifth of it")
    parser.add_argument("--image", default="debian-12")
    options = parser.parse_args()
    cache = prepare_cache(default_cache())
    images, backend, progress = ImageStore(cache / "images"), QemuBackend(cache), Lines(print)
    states = StateStore(cache / "states", backend)
    image, spec = images.get(options.image), MachineSpec(image=options.image)
    small = states.ensure(image, spec, progress)
    large = states.ensure(image, replace(spec, memory=4 * GIB), progress)
    print(f"\n{backend.summary}, {options.image}, {options.rounds} rounds")
    print(f"{'milliseconds':44} {'min':>8} {'p50':>8} {'max':>8}")

    machine = backend.clone(small, "benchmark")
    boot = row("cold boot", cold_boots(machine, max(2, options.rounds // 5)))
    machine.discard()
    with LoadedSnapshot(cache, small) as snapshot:
        row("loadvm, to the first answer", [seconds(snapshot.load) for _ in range(options.rounds)])
    raw_times, running_times, our_times = [], [], []
    for _ in range(options.rounds):
        with RawClone(cache, small) as by_hand:
            raw_times.append(seconds(by_hand.run))
        running, answering = clone(backend, small)
        running_times.append(running)
        our_times.append(answering)
    raw = row("clone by hand, running", raw_times)
    started = row("our clone, running", running_times)
    own = row("our reset, no spare, answering", our_times)

    admission = Admission(
        backend.leases, lambda: Budget.of(backend.offer().facts), progress, timeout=60, reap=lambda: None
    )
    pool = Pool(backend, states, images.get, admission, spares=1, progress=progress)
    visible = []
    held = pool.lease(spec, "benchmark", more_to_come=True)
    for _ in range(options.rounds):
        pool.settle()
        began = time.perf_counter()
        pool.release(held)
        held = pool.lease(spec, "benchmark", more_to_come=True)
        held.session.ping(BOOT)
        visible.append(time.perf_counter() - began)
    pool.release(held)
    pool.close()
    warm = row("our reset, a spare is warm, answering", visible)

    pairs = [(clone(backend, small)[1], clone(backend, large)[1]) for _ in range(options.rounds)]
    half = row("clone of 512 MiB", [pair[0] for pair in pairs])
    four = row("clone of 4 GiB", [pair[1] for pair in pairs])
    print()
    target("cold boot / our reset", boot / own, "at least 30", boot / own >= 30)
    target("cold boot / reset with a warm spare", boot / warm, "at least 30", boot / warm >= 30)
    target("our clone - clone by hand, running (ms)", (started - raw) * 1000, "at most 150", started - raw <= 0.150)
    target("4 GiB / 512 MiB", four / half, "within 0.75 to 1.25", 0.75 <= four / half <= 1.25)


def target(name: str, value: float, wanted: str, met: bool) -> None:
    """Print one figure beside its target."""
    print(f"{name:44} {value:8.2f}   {wanted}: {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
