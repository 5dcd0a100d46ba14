"""What a host says of a machine, in whatever form it says it, and waiting until it says what one hopes for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.seen import (
    AT_REST,
    BUSY,
    OFF,
    STATES,
    Seen,
    await_state,
    fail_if_critical,
    find,
    look,
    wait_until,
)
from pytest_hyperv.errors import BootTimeout, CmdletError, HostUnreachable, MachineError, MachineStateError, SessionLost
from pytest_hyperv.psrp.dotnet import EnumValue, PSObject
from tests.unit.hyperv.answering_host import answering

IDENT = UUID("0e2a9f9c-6f0d-4d0e-9a58-5f5c2f5f6b11")
ABSENT = CmdletError("Hyper-V konnte den virtuellen Computer nicht finden.", error_id="InvalidParameter,Get")
LONG = 60.0
"""Seconds that no test needs."""


def told(**properties: Any) -> PSObject:
    """A machine as it travels: enums are numbers with a name."""
    usual = {
        "Id": IDENT,
        "Name": "hyperv-0e2a9f9c",
        "State": EnumValue(2, "Running"),
        "OperationalStatus": [EnumValue(2, "Ok")],
        "Heartbeat": EnumValue(12, "OkApplicationsUnknown"),
        "Path": "C:\\machines\\m1",
        "Notes": "a note",
        "ParentCheckpointId": None,
        "CheckpointType": EnumValue(3, "Standard"),
    }
    return PSObject({**usual, **properties})


def off(**properties: Any) -> PSObject:
    return told(State=EnumValue(3, "Off"), Heartbeat=EnumValue(0, "NoContact"), **properties)


def host_of(*answers: PSObject | Exception) -> HypervHost:
    """Gives each answer in turn, the last one for ever."""
    left = list(answers)

    def answer(_: str) -> list[PSObject]:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return [now]

    return answering(answer)


def test_a_machine_is_read_from_its_enums() -> None:
    seen = Seen.of(told())
    assert (seen.id, seen.name, seen.path, seen.notes) == (IDENT, "hyperv-0e2a9f9c", "C:\\machines\\m1", "a note")
    assert (seen.state, seen.statuses, seen.heartbeat) == ("Running", ("Ok",), "OkApplicationsUnknown")


@pytest.mark.parametrize("state", [EnumValue(6, "Saved"), 6, "Saved"])
def test_a_state_is_understood_in_every_form_a_host_gives_it(state: object) -> None:
    """Through implicit remoting an enum becomes text; without its name it is a number."""
    assert Seen.of(told(State=state)).state == "Saved"


def test_a_state_of_an_unknown_number_is_that_number() -> None:
    assert Seen.of(told(State=99)).state == "99"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([EnumValue(2, "Ok")], ("Ok",)),
        (EnumValue(2, "Ok"), ("Ok",)),
        ([EnumValue(2, "Ok"), EnumValue(32769, "MergingDisks")], ("Ok", "MergingDisks")),
        ("Ok", ("Ok",)),
        ([None, "InService"], ("InService",)),
        ([], ()),
        (None, ()),
    ],
)
def test_statuses_are_many_one_or_none(statuses: object, expected: tuple[str, ...]) -> None:
    assert Seen.of(told(OperationalStatus=statuses)).statuses == expected


def test_what_a_host_left_out_is_empty() -> None:
    seen = Seen.of(told(Path=None, Notes=None, Heartbeat=None, Id=str(IDENT).upper()))
    assert (seen.path, seen.notes, seen.heartbeat, seen.id) == ("", "", "", IDENT)


@pytest.mark.parametrize("status", sorted(BUSY))
def test_work_on_disks_is_told_by_the_status(status: str) -> None:
    assert Seen.of(off(OperationalStatus=["Ok", status])).busy


@pytest.mark.parametrize("status", ["Ok", "Degraded", "Stopped", "ApplicationCriticalState"])
def test_any_other_status_leaves_disks_alone(status: str) -> None:
    assert not Seen.of(off(OperationalStatus=[status])).busy


@pytest.mark.parametrize(
    ("heartbeat", "beats"),
    [
        ("OkApplicationsHealthy", True),
        ("OkApplicationsUnknown", True),
        ("NoContact", False),
        ("LostCommunication", False),
        ("", False),
    ],
)
def test_a_guest_whose_applications_are_unwell_is_alive(heartbeat: str, beats: bool) -> None:
    assert Seen.of(told(Heartbeat=heartbeat)).beating is beats


@pytest.mark.parametrize("state", ["RunningCritical", "OffCritical", "PausedCritical", "SavedCritical"])
def test_a_critical_state_fails_with_its_name_and_a_fix(state: str) -> None:
    seen = Seen.of(told(State=state))
    assert seen.critical
    with pytest.raises(MachineError, match=f"hyperv-0e2a9f9c is in the state {state}") as failed:
        fail_if_critical(seen)
    assert failed.value.machine == "hyperv-0e2a9f9c"
    assert "gc" in failed.value.hint


def test_a_state_without_trouble_does_not_fail() -> None:
    for state in STATES.values():
        fail_if_critical(Seen.of(told(State=state)))


def test_a_machine_without_memory_is_at_rest() -> None:
    assert OFF < AT_REST
    assert not {"Running", "Paused", "Starting", "Stopping", "Saving"} & AT_REST


def test_a_machine_in_words() -> None:
    assert str(Seen.of(told())) == "Running, heartbeat OkApplicationsUnknown"
    assert str(Seen.of(off(OperationalStatus=["Ok", "MergingDisks"]))) == "Off, MergingDisks"


def test_looking_asks_for_what_it_reads() -> None:
    titles: list[str] = []

    def answer(title: str) -> list[PSObject]:
        titles.append(title)
        return [told()]

    assert look(answering(answer), IDENT) == Seen.of(told())
    assert titles == ["Hyper-V\\Get-VM | Select-Object"]
    assert set(told()) == set(cmdlets.SEEN)


@pytest.mark.parametrize("absent", [ABSENT, CmdletError("odd", category="ObjectNotFound")])
def test_a_machine_that_the_host_does_not_know_is_none(absent: CmdletError) -> None:
    assert find(host_of(absent), IDENT) is None
    with pytest.raises(CmdletError):
        look(host_of(absent), IDENT)


@pytest.mark.parametrize(
    "failure",
    [
        CmdletError("no rights", category="PermissionDenied", error_id="AccessDenied,Get"),
        CmdletError("vmms does not answer", error_id="OperationFailed,Get"),
    ],
)
def test_a_host_that_does_not_answer_has_not_said_that_there_is_none(failure: CmdletError) -> None:
    with pytest.raises(CmdletError) as raised:
        find(host_of(failure), IDENT)
    assert raised.value is failure


def test_a_connection_lost_once_is_asked_again_and_lost_twice_is_an_unreachable_host() -> None:
    assert look(host_of(SessionLost("reset"), told()), IDENT).state == "Running"
    with pytest.raises(HostUnreachable, match="HV01 was lost twice: reset"):
        look(host_of(SessionLost("reset")), IDENT)


def awaited(host: HypervHost, wanted: Callable[[Seen], bool], timeout: float = LONG, **options: Any) -> Seen:
    return await_state(host, IDENT, wanted, what="does not power off", timeout=timeout, **options)


def test_waiting_looks_until_it_sees_what_is_wanted() -> None:
    host = host_of(told(), told(State=EnumValue(4, "Stopping")), off())
    assert awaited(host, lambda seen: seen.state in OFF).state == "Off"
    assert host.calls == 3


def test_what_is_so_already_is_seen_at_the_first_look() -> None:
    host, began = host_of(off()), time.monotonic()
    assert awaited(host, lambda seen: seen.state in OFF).state == "Off"
    assert host.calls == 1
    assert time.monotonic() - began < LONG / 2


def test_waiting_in_vain_ends_with_what_was_last_seen() -> None:
    with pytest.raises(MachineStateError, match=r"hyperv-0e2a9f9c does not power off: it is Stopping after 0 s"):
        awaited(host_of(told(), told(State=EnumValue(4, "Stopping"))), lambda seen: seen.state in OFF, 0.2)


def test_who_waits_chooses_the_error() -> None:
    with pytest.raises(BootTimeout) as late:
        awaited(host_of(off()), lambda seen: seen.beating, 0.1, error=BootTimeout)
    assert late.value.hint
    assert late.value.__cause__ is None


def test_waiting_ends_at_once_in_a_critical_state_unless_that_is_what_is_wanted() -> None:
    critical = told(State=EnumValue(1, "OffCritical"))
    with pytest.raises(MachineError, match="OffCritical"):
        awaited(host_of(told(), critical), lambda seen: seen.state == "Running" and not seen.beating)
    assert awaited(host_of(told(), critical), lambda seen: seen.state in OFF).state == "OffCritical"


def test_waiting_ends_when_the_machine_is_gone() -> None:
    with pytest.raises(CmdletError, match="nicht finden"):
        awaited(host_of(told(), ABSENT), lambda seen: seen.state in OFF)


def test_anything_can_be_waited_for() -> None:
    numbers: Iterator[int] = iter(range(100))
    assert wait_until(lambda: next(numbers), lambda number: number == 3, told=str, timeout=LONG) == 3
    with pytest.raises(BootTimeout, match="still nothing after 0 s"):
        wait_until(lambda: None, lambda _: False, told=lambda last: f"still {last or 'nothing'}", timeout=0.1)
