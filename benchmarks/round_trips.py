"""How many pipelines an operation sends to a Hyper-V host: ``python -m benchmarks.round_trips``

Counted on the simulated host, over all processes of an operation. Pipelines that only look (Get-, Test-, Select-) are
told apart when they repeat until something is so: how many there are depends on the guest. Exit status 1 when a target
is missed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.simulated import IMAGE, SimulatedLab, ensure_state, open_backend
from pytest_hyperv.backends.hyperv.host import HypervHost, Road
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.psrp.calls import Call, Command, Runnable
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.spec import MachineSpec
from tests.hvsim.host.options import HostOptions

TARGETS = {"create": 3, "reset": 2, "guest command": 1}
PROBES = (text("open-session"), text("session-state"))
"""Opening a session is the last rung of readiness: it is tried until the guest takes one."""
LOOKING = ("Get-", "Test-", "Select-", "Where-")


@dataclass
class Tally:
    """Pipelines that did something, and that looked."""

    work: int = 0
    looks: int = 0

    def count(self, what: Runnable) -> None:
        """One more pipeline."""
        if looks(what):
            self.looks += 1
        else:
            self.work += 1


def looks(what: Runnable) -> bool:
    """Whether a call only asks, or probes whether the guest is ready."""
    stages = [stage for statement in Call(what).statements for stage in statement.stages]
    return all(
        each.name.rpartition("\\")[2].startswith(LOOKING) if isinstance(each, Command) else each.text in PROBES
        for each in stages
    )


class CountingRoad:
    """A road whose sessions count what they send."""

    def __init__(self, road: Road, tally: Tally) -> None:
        self._road, self._tally = road, tally
        self.name, self.is_local = road.name, road.is_local

    def open(self) -> Session:
        """A session whose pipelines are counted."""
        session = self._road.open()
        start = session.start

        def counted(what: Runnable, **options: Any) -> Any:
            self._tally.count(what)
            return start(what, **options)

        vars(session)["start"] = counted
        return session


def main() -> int:
    """Count, print, compare with the targets."""
    with tempfile.TemporaryDirectory(prefix="pytest-hyperv-") as folder:
        lab = SimulatedLab(Path(folder), HostOptions(speed=50.0))
        lab.enter()
        backend, tally = open_backend(lab.cache), Tally()
        backend.host = HypervHost(CountingRoad(backend.host.road, tally))
        state = ensure_state(lab.cache, backend, MachineSpec(image=IMAGE))
        missed = False

        def step(name: str, work: Callable[[], Any]) -> Any:
            nonlocal missed
            tally.work = tally.looks = 0
            result = work()
            target = TARGETS.get(name)
            missed |= target is not None and tally.work > target
            goal = f"   target {target}: {'met' if tally.work <= target else 'MISSED'}" if target else ""
            print(f"{name:28} {tally.work:3} pipelines, {tally.looks:3} looks{goal}")
            return result

        machine = step("create", lambda: backend.created(state, "benchmark"))
        step("boot to ready", lambda: machine.await_ready(600.0))
        step("clean point", machine.keep_as_clean)
        step("guest command", lambda: machine.session.run(["hostname.exe"]))
        step("guest command, PowerShell", lambda: machine.powershell.run(Command("Get-Service"), timeout=60))
        point = step("checkpoint", lambda: machine.checkpoint("one", memory=True))
        step("restore", lambda: machine.restore(point))
        step("reset", machine.recycle)
        step("delete", machine.discard)
        backend.close()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
