"""How fast PowerShell answers over each local road: ``python -m benchmarks.psrp [--local]`` from the project's root.

The round trip of a trivial pipeline and the MB/s of byte[] both ways, with the tests' peer at the other end, and with
a real pwsh where one is on PATH. Without ``--local`` the WinRS figures of `benchmarks.psrp_winrs` follow: run_ps and
pypsrp beside ours on one endpoint. Exit status: 1 when a target is missed.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass

from benchmarks import psrp_winrs
from pytest_hyperv.psrp.calls import Command, Script
from pytest_hyperv.psrp.client import Session
from tests.psrp.peer import vocabulary
from tests.psrp.roads import ROADS, Road

LOCAL_ROADS = ("process", "process-ahead", "stream", "pwsh")
CALLS, WARM_UP = 300, 50
MEGABYTES = 50
ROUND_TRIP_TARGET = 6.0
THROUGHPUT_TARGET = 20.0
TARGETS_OF = "process"


@dataclass(frozen=True)
class Figures:
    """Milliseconds to open and of a round trip, megabytes (10**6 bytes) a second up and down."""

    opened: float
    p50: float
    p95: float
    up: float
    down: float

    def __str__(self) -> str:
        return (
            f"open {self.opened:6.0f} ms   round trip p50 {self.p50:5.2f} ms, p95 {self.p95:5.2f} ms   "
            f"byte[] {self.up:5.1f} MB/s up, {self.down:5.1f} MB/s down"
        )


def measure(road: Road) -> Figures:
    """The figures of one road."""
    began = time.perf_counter()
    with road.session() as session:
        opened = (time.perf_counter() - began) * 1000
        for _ in range(WARM_UP):
            _round_trip(session)
        taken = sorted(_round_trip(session) for _ in range(CALLS))
        return Figures(opened, statistics.median(taken), taken[int(CALLS * 0.95)], _up(session), _down(session))


def _round_trip(session: Session) -> float:
    began = time.perf_counter()
    session.run(Command("Write-Output", InputObject=1))
    return (time.perf_counter() - began) * 1000


def _up(session: Session) -> float:
    size = MEGABYTES * 1_000_000
    began = time.perf_counter()
    if session.run(Script(vocabulary.SUM), input=bytes(size), timeout=300).one != size:
        raise AssertionError("bytes were lost on the way up")
    return MEGABYTES / (time.perf_counter() - began)


def _down(session: Session) -> float:
    began = time.perf_counter()
    received = 0
    with session.start(Script(vocabulary.BYTES, MEGABYTES, 1_000_000), timeout=300) as running:
        for item in running.items():
            received += len(item.value)
    if received != MEGABYTES * 1_000_000:
        raise AssertionError("bytes were lost on the way down")
    return MEGABYTES / (time.perf_counter() - began)


def main(arguments: list[str]) -> int:
    """Measure every local road, then WinRS unless ``--local`` is given."""
    met = True
    for road in (road for road in ROADS if road.name in LOCAL_ROADS):
        if road.unavailable:
            print(f"{road.name:14} not measured: {road.unavailable}")
            continue
        figures = measure(road)
        print(f"{road.name:14} {figures}")
        if road.name == TARGETS_OF:
            met = figures.p50 <= ROUND_TRIP_TARGET and min(figures.up, figures.down) >= THROUGHPUT_TARGET
            verdict = "met" if met else "missed"
            print(f"  p50 of at most {ROUND_TRIP_TARGET:g} ms and {THROUGHPUT_TARGET:g} MB/s each way: {verdict}")
    if "--local" in arguments:
        return int(not met)
    return int(psrp_winrs.main() != 0 or not met)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
