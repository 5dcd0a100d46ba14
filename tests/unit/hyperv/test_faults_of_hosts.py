"""Failures of Hyper-V: which pass, which do not, and how patience tries again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pytest_hyperv.backends.hyperv.faults import HINTS, PERMANENT, TRANSIENT, Patience, cause_of, hint_of, numbers_of
from pytest_hyperv.errors import CmdletError, HostUnreachable

IN_USE = CmdletError("The process cannot access the file because it is used by another process. (0x80070020).")
GONE = CmdletError("Die Kette der virtuellen Festplatten ist beschädigt. (0xC03A0014).", hint="of PowerShell")
LONG = 30.0
"""Seconds no test waits for: what is expected to end, ends long before."""


class Work:
    """Fails with each of ``failures`` in turn, then gives "done"."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.tries = 0

    def __call__(self) -> str:
        self.tries += 1
        if self._failures:
            raise self._failures.pop(0)
        return "done"


def error(number: str, message: str = "Vorgang fehlgeschlagen") -> CmdletError:
    return CmdletError(f"Stop-VM failed: {message} ({number}).")


@pytest.mark.parametrize("number", TRANSIENT)
def test_a_passing_reason_is_told_by_its_number_in_any_language(number: str) -> None:
    assert cause_of(error(number)) == TRANSIENT[number]
    assert cause_of(error(number.lower(), "操作は失敗しました")) == TRANSIENT[number]


@pytest.mark.parametrize("number", PERMANENT)
def test_a_lasting_reason_is_never_expected_to_pass(number: str) -> None:
    assert cause_of(error(number)) == ""
    assert cause_of(CmdletError(f"0x80070020, caused by {number}")) == ""


def test_the_two_tables_do_not_contradict_each_other() -> None:
    assert not set(TRANSIENT) & set(PERMANENT)
    assert set(HINTS) <= {*TRANSIENT, *PERMANENT}


@pytest.mark.parametrize(
    "message",
    ["nothing of the kind", "", "file 80070020.vhdx", "port 327750", "0x8007002", "x32775x", "(0x80070021)"],
)
def test_what_carries_no_number_of_the_table_is_not_repeated(message: str) -> None:
    assert cause_of(CmdletError(message)) == ""


def test_numbers_are_read_in_the_tables_form_and_in_order() -> None:
    assert numbers_of(CmdletError("0xc03a001A then 32775 then 0x80070020")) == ["0xC03A001A", "32775", "0x80070020"]


def test_what_fails_for_a_passing_reason_is_done_again_and_counted_by_cause() -> None:
    patience, work = Patience(), Work(IN_USE, error("32775"), IN_USE)
    assert patience.repeat(work, longest=LONG) == "done"
    assert work.tries == 4
    assert patience.counts == {"file in use": 2, "machine changes state": 1}


@pytest.mark.parametrize("failure", [GONE, CmdletError("no number"), HostUnreachable("gone"), ValueError("a bug")])
def test_any_other_failure_is_raised_at_once(failure: Exception) -> None:
    patience, work = Patience(), Work(failure)
    with pytest.raises(type(failure)) as raised:
        patience.repeat(work, longest=LONG)
    assert raised.value is failure
    assert work.tries == 1
    assert not patience.counts


def test_a_lasting_failure_after_a_passing_one_ends_the_patience() -> None:
    work = Work(IN_USE, GONE)
    with pytest.raises(CmdletError, match="beschädigt"):
        Patience().repeat(work, longest=LONG)
    assert work.tries == 2


def test_what_does_not_pass_is_raised_when_the_time_is_over() -> None:
    work, began = Work(*[IN_USE] * 1000), time.monotonic()
    with pytest.raises(CmdletError, match="0x80070020") as raised:
        Patience().repeat(work, longest=0.3)
    assert 2 <= work.tries < 1000
    assert time.monotonic() - began < 10
    assert raised.value.hint == HINTS["0x80070020"]


def test_a_failed_attempt_that_did_its_work_after_all_is_not_repeated() -> None:
    work = Work(IN_USE)
    assert Patience().repeat(work, achieved=lambda: "was done already", longest=LONG) == "was done already"
    assert work.tries == 1


def test_before_the_first_attempt_nobody_looks_whether_it_was_done() -> None:
    looks: list[int] = []
    work = Work()
    assert Patience().repeat(work, achieved=lambda: looks.append(work.tries), longest=LONG) == "done"
    assert looks == []


def test_a_look_that_finds_nothing_has_it_done_again() -> None:
    looks: list[int] = []
    work = Work(IN_USE, IN_USE)
    assert Patience().repeat(work, achieved=lambda: looks.append(work.tries), longest=LONG) == "done"
    assert looks == [1, 2]


@pytest.mark.parametrize("found", [False, 0, "", []])
def test_anything_but_none_is_a_find(found: object) -> None:
    assert Patience().repeat(Work(IN_USE), achieved=lambda: found, longest=LONG) == found


def test_a_look_that_fails_is_a_failure_like_any_other() -> None:
    def look() -> str:
        raise GONE

    with pytest.raises(CmdletError, match="0xC03A0014"):
        Patience().repeat(Work(IN_USE), achieved=look, longest=LONG)


def test_who_calls_may_say_what_passes() -> None:
    passing: Callable[[CmdletError], str] = lambda error: "asked for" if error.error_id == "Odd" else ""  # noqa: E731
    patience, work = Patience(), Work(CmdletError("x", error_id="Odd"), IN_USE)
    with pytest.raises(CmdletError, match="0x80070020"):
        patience.repeat(work, passing=passing, longest=LONG)
    assert patience.counts == {"asked for": 1}


@pytest.mark.parametrize("number", HINTS)
def test_a_number_with_a_fix_tells_it(number: str) -> None:
    failure = error(number)
    assert hint_of(failure) == HINTS[number]
    with pytest.raises(CmdletError) as raised:
        Patience().repeat(Work(*[failure] * 100), longest=0.0)
    assert raised.value.hint == HINTS[number]


def test_a_hint_of_powershell_stays_where_no_number_says_more() -> None:
    with pytest.raises(CmdletError) as raised:
        Patience().repeat(Work(CmdletError("odd", hint="It happened at line 1")), longest=LONG)
    assert raised.value.hint == "It happened at line 1"
