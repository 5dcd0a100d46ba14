"""What is made of a guest's journal and event logs, whatever the guest writes into them."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv import guest_events
from pytest_hyperv.errors import CommandFailed
from pytest_hyperv.guest import CommandResult
from pytest_hyperv.guest_events import GuestEvent
from pytest_hyperv.psrp.calls import Runnable
from pytest_hyperv.psrp.records import ErrorRecord
from pytest_hyperv.psrp.result import PowerShellResult
from tests.local_guest import LocalSession


class Guest(LocalSession):
    """A guest whose journalctl prints what it is given."""

    def __init__(self, root: Path, said: bytes, code: int = 0) -> None:
        super().__init__(root)
        self._said, self._code, self.asked = said, code, [""]

    def run(self, argv: Any, **options: Any) -> CommandResult:
        self.asked = list(argv)
        assert options["timeout"] == 7
        return CommandResult(tuple(argv), self._code, self._said, b"no journal", 0.1)


def entry(**fields: object) -> bytes:
    return json.dumps({"__REALTIME_TIMESTAMP": "1700000000250000", **fields}).encode() + b"\n"


def told(root: Path, said: bytes) -> list[GuestEvent]:
    return guest_events.journal_since(Guest(root, said), 1.5, timeout=7)


def test_entries_of_the_journal_have_their_time_source_level_and_text(tmp_path: Path) -> None:
    said = entry(SYSLOG_IDENTIFIER="kernel", PRIORITY="2", MESSAGE="oops") + entry(_COMM="sshd", MESSAGE="hello")
    assert told(tmp_path, said) == [
        GuestEvent(1700000000.25, "kernel", "critical", "oops"),
        GuestEvent(1700000000.25, "sshd", "information", "hello"),
    ]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([104, 105, 255], "hi�"),
        (["one", "two"], "one\ntwo"),
        (None, guest_events.LEFT_OUT),
        ("x" * 9000, "x" * guest_events.LONGEST),
        ([[1]], ""),
        ({"a": 1}, ""),
        (7, ""),
        ([], ""),
        ([300], ""),
        ([True], "\x01"),
    ],
    ids=repr,
)
def test_any_message_becomes_text(tmp_path: Path, message: object, text: str) -> None:
    assert [event.text for event in told(tmp_path, entry(MESSAGE=message))] == [text]


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"null", b"7", b"[" * 100_000, b"\xff\xfe", b'{"__REALTIME_TIMESTAMP": "x"}', b"{}"],
    ids=lambda line: repr(line[:20]),
)
def test_a_line_that_is_no_entry_is_passed_over(tmp_path: Path, line: bytes) -> None:
    assert [event.text for event in told(tmp_path, line + b"\n" + entry(MESSAGE="good"))] == ["good"]


def test_the_journal_is_asked_for_the_newest_since_the_moment(tmp_path: Path) -> None:
    guest = Guest(tmp_path, b"")
    assert guest_events.journal_since(guest, 1700000000.5, timeout=7) == []
    assert "--since=@1700000000.500000" in guest.asked
    assert f"--lines={guest_events.MOST}" in guest.asked


def test_a_guest_without_a_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no journal"):
        guest_events.journal_since(Guest(tmp_path, b"", code=127), 0, timeout=7)


def logs(*errors: str) -> list[GuestEvent]:
    def run(_: Runnable, /, *, timeout: float) -> PowerShellResult:
        assert timeout == 7
        return PowerShellResult(errors=[ErrorRecord(each, error_id=each) for each in errors])

    return guest_events.event_logs_since(run, 0, timeout=7)


def test_windows_logs_with_nothing_in_them_are_no_error_but_logs_that_cannot_be_read_are() -> None:
    assert logs("NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand") == []
    with pytest.raises(CommandFailed, match=r"could not be read: .*Unauthorized"):
        logs("UnauthorizedAccess")


def test_a_moment_is_a_number_or_a_time_with_its_zone() -> None:
    assert guest_events.seconds_of(5) == 5.0
    assert guest_events.seconds_of(datetime.datetime(1970, 1, 2, tzinfo=datetime.UTC)) == 86400.0
    with pytest.raises(ValueError, match="with its zone"):
        guest_events.seconds_of(datetime.datetime(2026, 1, 1))
