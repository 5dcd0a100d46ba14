"""How many spares help: ``python -m benchmarks.spares [--rounds N] [--tests N]``.

Short tests, one after the other, as one worker runs them: a machine is leased, answers one command, and is given back;
once with nothing else to do, once with a wait of ``--work`` seconds, as for a service to come up. All numbers of spares
take turns in one run, so that what else the computer does meets them all.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

from pytest_hyperv.admission import Admission
from pytest_hyperv.backends.qemu.backend import QemuBackend
from pytest_hyperv.cache import default_cache, prepare_cache
from pytest_hyperv.images import ImageStore
from pytest_hyperv.leases import Budget
from pytest_hyperv.pool import Pool
from pytest_hyperv.progress import Lines
from pytest_hyperv.spec import MachineSpec
from pytest_hyperv.states.store import StateStore

SPARES = (0, 1, 2, 3)


def run(pool: Pool, spec: MachineSpec, tests: int, work: float) -> Iterator[tuple[float, float]]:
    """Seconds that each test waited for its machine, and took as a whole; without the first, which has no spare."""
    for number in range(tests + 1):
        began = time.perf_counter()
        machine = pool.lease(spec, "benchmark", more_to_come=number < tests)
        leased = time.perf_counter()
        machine.session.run(["true"], timeout=60)
        time.sleep(work)
        pool.release(machine)
        if number:
            yield leased - began, time.perf_counter() - began


def main() -> None:
    """Run everything and print the table; ratios are to no spares at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tests", type=int, default=10, help="tests in each round")
    parser.add_argument("--work", type=float, default=1.0, help="seconds that a longer test waits")
    parser.add_argument("--image", default="debian-12")
    options = parser.parse_args()
    cache = prepare_cache(default_cache())
    images, backend, progress = ImageStore(cache / "images"), QemuBackend(cache), Lines(print)
    spec = MachineSpec(image=options.image)
    StateStore(cache / "states", backend).ensure(images.get(options.image), spec, progress)
    kinds = [(work, spares) for work in (0.0, options.work) for spares in SPARES]
    times: dict[tuple[float, int], list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for work, spares in kinds:
            admission = Admission(
                backend.leases, lambda: Budget.of(backend.offer().facts), progress, timeout=600, reap=lambda: None
            )
            states = StateStore(cache / "states", backend)
            pool = Pool(backend, states, images.get, admission, spares=spares, progress=progress)
            times[work, spares] += run(pool, spec, options.tests, work)
            pool.close()
    print(f"\n{backend.summary}, {options.image}, {options.rounds} rounds of {options.tests} tests; milliseconds")
    print(f"{'a test of':>12} {'spares':>7} {'wait p50':>9} {'wait max':>9} {'test mean':>10} {'ratio':>6}")
    for work, spares in kinds:
        waits, totals = zip(*times[work, spares], strict=True)
        none = statistics.mean(total for _, total in times[work, 0])
        mean = statistics.mean(totals)
        wait, most = statistics.median(waits), max(waits)
        print(
            f"{work:10.1f} s {spares:7} {wait * 1000:9.0f} {most * 1000:9.0f} {mean * 1000:10.0f} {none / mean:6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
