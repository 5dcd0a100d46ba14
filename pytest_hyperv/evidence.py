"""What is kept of a machine when its test has failed, taken while it lives. It fails no test and holds none up."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pytest_hyperv.artifacts import Artifacts
from pytest_hyperv.backends.base import GuestCrash, MachineState
from pytest_hyperv.collecting import BUDGET, GUEST_ANSWERS, Collector
from pytest_hyperv.errors import HypervError
from pytest_hyperv.guest_paths import Found, read_path
from pytest_hyperv.loan import Loan
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.outcomes import TOLD
from pytest_hyperv.plain_text import last_lines, one_line, plain
from pytest_hyperv.redaction import Redactor, redactor_of_run
from pytest_hyperv.story import Story

LAST_COMMANDS = 3
CRASH_LIMIT = 16_000
DUMP = 180.0
"""Seconds that a dump of a guest's memory may take; it is asked for, and does not count as the rest does."""


@dataclass(frozen=True)
class Case:
    """The test: ``phase`` is setup, call or teardown, ``outcome`` "" when it passed, ``error`` what it failed of.

    ``paths`` are files and folders of its guests that it wants kept, ``dump``: their memory, too, when they crashed.
    """

    nodeid: str
    phase: str
    outcome: str = ""
    error: str = ""
    paths: tuple[str, ...] = ()
    dump: bool = False


def told_by(loan: Loan, outcome: str = "") -> Story:
    """What is known of a machine without asking it."""
    way_in = loan.vm.way_in if loan.vm.kept else ""
    return Story(loan.vm.name, loan.vm.backend, loan.host, loan.vm.image.name, loan.state, outcome, enter=way_in)


def untold_crash(loan: Loan) -> bool:
    """Whether the guest is dead and no call has told its test so."""
    return not loan.vm.transcript.crash_told and _crash(loan.vm) is not None


def console_so_far(vm: VirtualMachine) -> str:
    """The console of a machine that another test takes over; "" when it cannot be had, or not for nothing.

    The first look at a Windows guest's would begin the reading of it.
    """
    try:
        return vm.console_text() if vm.image.os_family == "linux" else ""
    except HypervError:
        return ""


def take(loans: list[Loan], case: Case, artifacts: Artifacts) -> list[Story]:
    """Write the evidence of a test's machines; one story a machine, whatever could be had."""
    folder = artifacts.of_test(case.nodeid)
    deadline = time.monotonic() + BUDGET
    stories = []
    for number, loan in enumerate(loans, 1):
        share = time.monotonic() + (deadline - time.monotonic()) / (len(loans) - number + 1)
        redactor = redactor_of_run(loan.vm.transcript.secrets)
        stories.append(_of_machine(loan, case, Collector(loan.vm.name, folder, redactor, share)))
    return stories


def _of_machine(loan: Loan, case: Case, collector: Collector) -> Story:
    vm, told = loan.vm, told_by(loan, case.outcome)
    crash = _crash(vm)
    state = collector.look("state", lambda: vm.state)
    _screen(vm, state, collector)
    _console(vm, collector)
    if crash is not None:
        collector.keep_text("crash", "crash.log", f"{crash.kind}\n{crash.text}")
    _inside(vm, state if crash is None else MachineState.CRASHED, case, collector)
    if crash is not None and case.dump:
        collector.keep_written(
            "dump", "memory.dump", lambda target: vm.inner.dump_memory(target, DUMP), f"kind {crash.kind}", DUMP
        )
    collector.keep_text("transcript", "transcript.log", vm.transcript.whole(collector.redactor))
    facts = _facts(loan, case, collector, state, crash)
    text = json.dumps(_redacted({**facts, "missing": collector.missing}, collector.redactor), indent=2)
    collector.keep_text("facts", "facts.json", text)
    return Story(
        **{
            **told.to_data(),
            "crash": plain(collector.redactor.text(crash.text[:CRASH_LIMIT], cut_end=True)) if crash else "",
            "text": _text(vm, case, collector, crash),
            "exhibits": tuple(collector.exhibits),
        }
    )


def _crash(vm: VirtualMachine) -> GuestCrash | None:
    try:
        return vm.crash
    except Exception:
        return None


def _screen(vm: VirtualMachine, state: MachineState | None, collector: Collector) -> None:
    if state is MachineState.OFF:
        collector.skip("screenshot", "the machine is off")
        return
    picture = collector.look("screenshot", vm.screenshot)
    if picture is not None:
        collector.keep_picture("screen.png", picture)


def _console(vm: VirtualMachine, collector: Collector) -> None:
    text = collector.look("console", vm.console_text)
    if text is None:
        return
    mark = vm.transcript.console_before
    if mark.is_beginning_of(text):
        collector.keep_text("console", "console.log", text[mark.length :])
    else:
        collector.keep_text("console", "console.log", text, "from before the test began, too")


def _inside(vm: VirtualMachine, state: MachineState | None, case: Case, collector: Collector) -> None:
    """What only a guest that lives can give: its own log, and the files that the test named."""
    if state is not MachineState.RUNNING:
        why = f"the machine is {state or 'out of reach'}"
        for what in ("journal", *case.paths):
            collector.skip(what, why)
        return
    since = vm.transcript.since
    events = collector.look("journal", lambda: vm.events(since, timeout=GUEST_ANSWERS))
    if events is not None:
        lines = [f"{_clock(event.time)} {event.level} {event.source}: {event.text}" for event in events]
        collector.keep_text("journal", "journal.log", "\n".join([*lines, ""]))
    for number, path in enumerate(case.paths, 1):
        found = collector.look(path, partial(_read, vm, path))
        if found == []:
            collector.skip(path, "the folder holds no files")
        for part, (name, data, note) in enumerate(found or (), 1):
            collector.keep_data("file", f"{number:02}-{part:02}-{name}", data, one_line(note, 300))


def _read(vm: VirtualMachine, path: str) -> list[Found]:
    return list(read_path(vm.inner.session, path, GUEST_ANSWERS))


def _clock(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return f"@{seconds}"


def _facts(
    loan: Loan, case: Case, collector: Collector, state: MachineState | None, crash: GuestCrash | None
) -> dict[str, Any]:
    vm = loan.vm
    points = collector.look("checkpoints", lambda: _points(vm))
    return {
        "test": asdict(case),
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "name": vm.name,
            "id": vm.id,
            "backend": vm.backend,
            "host": loan.host,
            "image": vm.image.name,
            "made_from": loan.state,
            "state": str(state) if state is not None else None,
            "address": collector.look("address", lambda: vm.address),
        },
        "spec": asdict(vm.spec),
        "checkpoints": points,
        "crash": asdict(crash) if crash else None,
    }


def _points(vm: VirtualMachine) -> list[dict[str, Any]]:
    return [asdict(node.checkpoint) | {"current": node.current} for node in vm.checkpoints if node.checkpoint]


def _redacted(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return plain(redactor.text(value))
    if isinstance(value, dict):
        return {name: _redacted(each, redactor) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(each, redactor) for each in value]
    return value


def _text(vm: VirtualMachine, case: Case, collector: Collector, crash: GuestCrash | None) -> str:
    """What a person reads first: what the guest died of, what was last done to it, and what there is no evidence of."""
    lines = []
    if case.outcome in TOLD:
        lines.append(f"outcome: {TOLD[case.outcome]}")
    if crash is not None:
        lines.append(f"crash: {crash_line(collector.redactor.text(crash.text)) or crash.kind}")
    commands = vm.transcript.last(LAST_COMMANDS, collector.redactor)
    if commands:
        lines += ["last commands:", *(f"  {line}" for line in commands)]
    lines += [f"no {missing}" for missing in collector.missing]
    return "\n".join(lines)


def crash_line(text: str) -> str:
    """The line that says most of what a guest left when it died."""
    lines = last_lines(text, 10_000, 200)
    telling = [line for line in lines if "Kernel panic" in line or "bugcheck" in line.lower() or "fault" in line]
    return one_line((telling or lines or [""])[0], 200)


def shown(folder: Path) -> str:
    """A folder as a person at this terminal would write it."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)
