"""Machines that outlive their owner: for how long, whoever is in them, and what they stand on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_hyperv import ledger as ledgers
from pytest_hyperv.durations import parse_duration, written
from pytest_hyperv.errors import LeaseLost
from pytest_hyperv.identity import ProcessIdentity
from pytest_hyperv.ledger import REAPER, Ledger, Record
from pytest_hyperv.states.users import Users

VISIT = """
import sys
from pathlib import Path
from pytest_hyperv.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]))
with ledger.visited(ledger.records()[0]):
    print("in", flush=True)
    sys.stdin.read()
"""
HOUR = 3600.0


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "machines")


@pytest.fixture
def record(ledger: Ledger) -> Record:
    """A machine whose owner is gone."""
    made = replace(ledger.open("fake", "a test"), owner=ProcessIdentity(1, "never"))
    made.write()
    return made


@pytest.fixture
def visitor(ledger: Ledger, record: Record) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that is in the machine, which was kept for an hour that is over."""
    replace(ledger.keep(record, "a look", HOUR), kept_until=time.time() - 1).write()
    process = subprocess.Popen(
        [sys.executable, "-c", VISIT, str(ledger.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def test_a_machine_is_kept_until_its_time_is_over(ledger: Ledger, record: Record) -> None:
    kept = ledger.keep(record, "a look", HOUR)
    assert ledger.reap() == []
    replace(kept, kept_until=time.time() - 1).write()
    assert [each.id for each in ledger.reap()] == [record.id]
    assert not record.folder.exists()


def test_a_machine_that_is_kept_for_no_time_in_particular_stays(ledger: Ledger, record: Record) -> None:
    ledger.keep(record, "a look")
    assert ledger.reap() == []
    assert not ledger.records()[0].expired


def test_whoever_is_in_a_machine_holds_it_whatever_the_clock_says(
    ledger: Ledger, record: Record, visitor: subprocess.Popen[bytes]
) -> None:
    replace(ledger.records()[0], kept_until=1.0).write()
    assert ledger.records()[0].expired
    assert ledger.reap() == []
    visitor.kill()
    visitor.wait()
    assert [each.id for each in ledger.reap()] == [record.id]


def test_its_time_begins_anew_when_somebody_enters_and_when_he_leaves(
    ledger: Ledger, record: Record, visitor: subprocess.Popen[bytes]
) -> None:
    entered = ledger.records()[0].kept_until
    assert entered > time.time() + HOUR / 2
    assert visitor.stdin is not None
    visitor.stdin.close()
    visitor.wait()
    assert ledger.records()[0].kept_until > entered
    assert [path.name for path in record.folder.iterdir()] == [ledgers.RECORD]


def test_a_machine_that_is_being_reaped_cannot_be_entered(
    ledger: Ledger, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "REAPING", 0.01)
    with (
        FileLock(ledger.root / REAPER),
        pytest.raises(LeaseLost, match="cannot be entered"),
        ledger.visited(record),
    ):
        pass


def test_a_machine_that_is_gone_cannot_be_entered(ledger: Ledger, record: Record) -> None:
    ledger.close(record)
    with pytest.raises(LeaseLost, match=f"{record.name} is gone"), ledger.visited(record):
        pass


def test_a_machine_that_another_run_still_uses_is_not_kept_by_a_visit(ledger: Ledger) -> None:
    record = ledger.open("fake", "a test")
    with ledger.visited(record):
        assert ledger.records() == [record]
    assert ledger.records() == [record]


def test_a_state_has_a_kept_machine_among_its_users_while_it_is_there(ledger: Ledger, record: Record) -> None:
    root = ledger.root.parent / "states"
    root.mkdir()
    users = Users(root)
    users.keep("key", record.name, record.folder)
    users.sweep()
    assert users.kept("key") == [record.name]
    assert users.kept("other") == []
    ledger.close(record)
    assert users.kept("key") == []
    users.sweep()
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "seconds", "words"),
    [
        ("4h", 14400, "4 h"),
        ("90 min", 5400, "90 min"),
        ("45S", 45, "45 s"),
        ("1.5d", 129600, "36 h"),
        ("2d", 172800, "2 days"),
    ],
)
def test_times_are_a_number_and_a_unit(text: str, seconds: float, words: str) -> None:
    assert parse_duration(text) == seconds
    assert written(seconds) == words


@pytest.mark.parametrize("text", ["", "4", "h", "0h", "-1h", "4 weeks", "400d", "1e9s", "nan"])
def test_other_words_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match='such as "4h"'):
        parse_duration(text)
