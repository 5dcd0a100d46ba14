"""PSRP over WinRS on loopback, beside pywinrm's run_ps and pypsrp's WinRS shell on the same endpoint.

``python -m benchmarks.psrp_winrs`` from the project's root. The endpoint and the peer that stands for PowerShell are
those of the tests, programs of their own. run_ps starts a PowerShell for every call; what it starts here is an
interpreter alone ("bare"), which is less than any PowerShell, and one that loads the peer's engine ("engine").
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import winrm
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan

from pytest_hyperv.psrp.calls import Command, Script
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.winrm_target import Authentication, Scheme
from pytest_hyperv.psrp.winrs import WinRSPipe, open_winrs
from tests.psrp.loopback_certificate import write_certificate
from tests.psrp.peer import vocabulary
from tests.psrp.roads import peer_argv
from tests.psrp.winrm_endpoint import PASSWORD, USER, Endpoint, Plan, running
from tests.psrp.winrm_fixtures import ECHO, target

ROADS: list[tuple[Authentication, Scheme]] = [("basic", "https"), ("ntlm", "http")]
COMMANDS = {
    "echo": ECHO,
    "peer": peer_argv(),
    "powershell": [sys.executable, "-S", "-c", "print(1)", "*"],
    "engine": [sys.executable, "-c", "import psrpcore; print(1)", "*"],
}
CALLS, SLOW_CALLS, WARM_UP = 200, 40, 40
PIECE, PIECES = 1 << 20, 16
MOST_REQUESTS, LEAST_RATIO = 2, 8.0
"""In the mean: two, and a third in 15 of 100 calls at most, when an answer takes longer than those before it."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one action, and the HTTP requests that it took: median and mean over all calls."""

    p50: float
    p95: float
    requests: float
    requests_mean: float

    def __str__(self) -> str:
        requests = f"requests p50 {self.requests:g}, mean {self.requests_mean:.2f}"
        return f"p50 {self.p50:7.2f} ms   p95 {self.p95:7.2f} ms   {requests}"


def timed(endpoint: Endpoint, action: Callable[[], object], calls: int, warm_up: int = 2) -> Timing:
    """Time ``action`` after a warm-up."""
    for _ in range(warm_up):
        action()
    taken, requests = [], []
    for _ in range(calls):
        before = endpoint.count()["http"]
        start = time.perf_counter()
        action()
        taken.append((time.perf_counter() - start) * 1000)
        requests.append(endpoint.count()["http"] - before)
    late = sorted(taken)[int(calls * 0.95)]
    return Timing(statistics.median(taken), late, statistics.median(requests), statistics.mean(requests))


class Road:
    """One way of authentication to the endpoint."""

    def __init__(self, endpoint: Endpoint, certificate: Path, transport: Authentication, scheme: Scheme) -> None:
        self.endpoint, self.certificate = endpoint, certificate
        self.transport, self.scheme = transport, scheme
        self.port = endpoint.https_port if scheme == "https" else endpoint.http_port

    @contextmanager
    def pipe(self, program: str) -> Iterator[WinRSPipe]:
        """A pipe to a program of the endpoint."""
        where = target(self.endpoint, self.certificate, self.transport, self.scheme)
        with closing(open_winrs(where, [program])) as pipe:
            yield pipe

    def line(self) -> Timing:
        """A line sent to a program that sends it back."""
        with self.pipe("echo") as pipe:

            def action() -> None:
                pipe.send(b"<Ack/>\n", 10)
                pipe.receive(10)

            return timed(self.endpoint, action, CALLS, WARM_UP)

    def call(self) -> Timing:
        """A trivial pipeline in a session."""
        with self.pipe("peer") as pipe, Session.open(pipe, ahead=True) as session:
            return timed(self.endpoint, lambda: session.run(Command("Write-Output", InputObject=1)), CALLS, WARM_UP)

    def megabytes_a_second(self) -> tuple[float, float]:
        """byte[] up and down."""
        with self.pipe("peer") as pipe, Session.open(pipe, ahead=True) as session:
            start = time.perf_counter()
            session.run(Script(vocabulary.SUM), input=bytes(PIECE * PIECES), timeout=300)
            middle = time.perf_counter()
            session.run(Script(vocabulary.BYTES, PIECES, PIECE), timeout=300)
            end = time.perf_counter()
        size = PIECE * PIECES / 1e6
        return size / (middle - start), size / (end - middle)

    def run_ps(self) -> Timing:
        """pywinrm's run_ps with an interpreter alone in the place of PowerShell."""
        session = self._pywinrm()
        return timed(self.endpoint, lambda: session.run_ps("1"), SLOW_CALLS)

    def run_engine(self) -> Timing:
        """The same requests, starting the peer's engine."""
        session = self._pywinrm()
        return timed(self.endpoint, lambda: session.run_cmd("engine"), SLOW_CALLS)

    def pypsrp(self) -> Timing:
        """pypsrp running the interpreter in a WinRS shell that stays open."""
        tls = self.scheme == "https"
        options: dict[str, Any] = {"cert_validation": str(self.certificate)} if tls else {}
        wsman = WSMan(
            "localhost", username=USER, password=PASSWORD, ssl=tls, port=self.port, auth=self.transport, **options
        )
        with wsman, WinRS(wsman) as shell:
            return timed(self.endpoint, lambda: Process(shell, "powershell").invoke(), SLOW_CALLS)

    def _pywinrm(self) -> winrm.Session:
        url = f"{self.scheme}://localhost:{self.port}/wsman"
        return winrm.Session(url, (USER, PASSWORD), transport=self.transport, ca_trust_path=str(self.certificate))


def report(road: Road) -> bool:
    """Print one road's figures; whether its targets are met."""
    line, call, bare, engine = road.line(), road.call(), road.run_ps(), road.run_engine()
    up, down = road.megabytes_a_second()
    print(f"\nWinRS, {road.transport} over {road.scheme}")
    for name, timing in [
        ("a line there and back", line),
        ("a trivial pipeline", call),
        ("run_ps, bare", bare),
        ("run_ps, engine", engine),
        ("pypsrp process, bare", road.pypsrp()),
    ]:
        print(f"  {name:24}{timing}")
    print(f"  {'byte[]':24}{up:.1f} MB/s up, {down:.1f} MB/s down")
    ratios = {
        "line / run_ps bare": bare.p50 / line.p50,
        "pipeline / run_ps bare": bare.p50 / call.p50,
        "pipeline / run_ps engine": engine.p50 / call.p50,
    }
    print("  faster than run_ps: " + ", ".join(f"{name} {ratio:.1f} times" for name, ratio in ratios.items()))
    met = call.requests <= MOST_REQUESTS and ratios["pipeline / run_ps engine"] >= LEAST_RATIO
    verdict = "met" if met else "missed"
    wanted = f"at most {MOST_REQUESTS} requests (p50), {LEAST_RATIO:g} times faster than a run_ps that starts an engine"
    print(f"  {wanted}: {verdict}")
    return met


def main() -> int:
    """Measure every road; 1 when a target is missed."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = write_certificate(Path(folder) / "localhost.pem", "localhost")
        with running(Plan(COMMANDS, str(certificate))) as endpoint:
            met = [report(Road(endpoint, certificate, *road)) for road in ROADS]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
