"""The lines of one machine: opened one at a time, with patience for a guest that boots, and dropped with its life."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_hyperv.backends.hyperv import lines, patience
from pytest_hyperv.backends.hyperv.line import Line
from pytest_hyperv.backends.hyperv.lines import GuestLines
from pytest_hyperv.backends.hyperv.opening import NotYet
from pytest_hyperv.backends.hyperv.patience import ONE_TRY
from pytest_hyperv.errors import AccessDenied, BootTimeout, GuestCrashed, HostUnreachable, MachineStateError
from tests.unit.hyperv.spoken_line import PATIENCE, SpokenLine

BOOTING = NotYet("the guest refused a session")
REFUSED = AccessDenied("the guest of vm refused the credential", hint="see the image", host="vm")
LONG = 60.0
"""Seconds that no test needs."""


class Opening:
    """Raises each of ``failures`` in turn, then opens. ``most`` is how many openings were under way at once."""

    def __init__(self, *failures: Exception, takes: float = 0.0) -> None:
        self._failures, self._takes = list(failures), takes
        self.opened: list[SpokenLine] = []
        self.timeouts: list[float] = []
        self.closed = 0
        self.most = self._now = 0
        self._slow = threading.Event()

    def open(self, timeout: float) -> Line:
        self.timeouts.append(timeout)
        self._now += 1
        self.most = max(self.most, self._now)
        self._slow.wait(self._takes)
        self._now -= 1
        if self._failures:
            raise self._failures.pop(0)
        line = SpokenLine()
        self.opened.append(line)
        return line

    def close(self) -> None:
        self.closed += 1


def nothing_wrong() -> None:
    """The machine is alive."""


def of(opener: Opening, watch: Callable[[], None] = nothing_wrong) -> GuestLines:
    return GuestLines(opener, "vm", watch)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest has a quarter of a second."""
    monkeypatch.setattr(lines, "REOPEN", 0.25)


def test_a_line_is_opened_when_it_is_needed_and_kept() -> None:
    opener = Opening()
    guest = of(opener)
    assert opener.opened == []
    assert guest.main() is guest.main() is opener.opened[0]
    assert len(opener.opened) == 1


def test_a_line_that_has_ended_is_opened_again() -> None:
    opener = Opening()
    guest = of(opener)
    first = guest.main()
    first.close()
    assert guest.main() is opener.opened[1]


def test_opening_anew_ends_what_was_open() -> None:
    opener = Opening()
    guest = of(opener)
    old, other = guest.main(), guest.another()
    guest.open(LONG, booting=True)
    assert old.ended
    assert other.ended
    assert guest.main() is opener.opened[2]


def test_many_threads_open_one_line_at_a_time() -> None:
    opener = Opening(takes=0.02)
    guest = of(opener)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: guest.another(), range(8)))
    assert opener.most == 1
    assert len({id(line) for line in found}) == 8
    guest.drop()
    assert all(line.ended for line in opener.opened)


def test_many_threads_that_need_the_machines_own_line_share_it() -> None:
    opener = Opening(takes=0.02)
    guest = of(opener)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: guest.main(), range(8)))
    assert [id(line) for line in found] == [id(opener.opened[0])] * 8
    assert len(opener.opened) == 1


def test_one_that_fails_to_open_lets_the_next_one_try() -> None:
    guest = of(Opening(HostUnreachable("no route")))
    with pytest.raises(HostUnreachable):
        guest.another()
    assert not guest.another().ended


def test_a_guest_that_boots_is_asked_again_until_it_takes_a_session() -> None:
    opener = Opening(BOOTING, BOOTING, BOOTING)
    guest = of(opener)
    guest.open(LONG, booting=True)
    assert len(opener.timeouts) == 4
    assert guest.main() is opener.opened[0]


def test_no_try_takes_longer_than_a_hung_one_may_and_all_share_the_whole_time() -> None:
    opener = Opening(BOOTING)
    of(opener).open(1000.0, booting=True)
    assert opener.timeouts == [ONE_TRY, ONE_TRY]
    opener = Opening(BOOTING)
    of(opener).open(10.0, booting=True)
    first, second = opener.timeouts
    assert 9 < first <= 10
    assert 1 <= second < first


@pytest.mark.parametrize("booting", [True, False])
def test_a_guest_that_never_takes_a_session_is_given_up_in_time(booting: bool) -> None:
    opener, began = Opening(*[BOOTING] * 1000), time.monotonic()
    with pytest.raises(BootTimeout, match=r"vm took no session in 0 s; the last try: the guest refused") as late:
        of(opener).open(0.3, booting=booting)
    assert time.monotonic() - began < PATIENCE / 2
    assert len(opener.timeouts) > 1
    assert late.value.machine == "vm"
    assert late.value.hint
    assert isinstance(late.value.__cause__, NotYet)


@pytest.mark.usefixtures("quick")
def test_a_line_that_is_needed_has_the_time_of_a_guest_that_reboots() -> None:
    guest = of(Opening(*[BOOTING] * 1000))
    with pytest.raises(BootTimeout):
        guest.main()
    with pytest.raises(BootTimeout):
        guest.another()


@pytest.mark.parametrize(
    "failure", [HostUnreachable("gone"), MachineStateError("it is off"), ValueError("a bug")], ids=lambda e: str(e)
)
def test_what_waiting_does_not_mend_is_raised_at_once(failure: Exception) -> None:
    opener = Opening(failure)
    with pytest.raises(type(failure)) as raised:
        of(opener).open(LONG, booting=True)
    assert raised.value is failure
    assert len(opener.timeouts) == 1


def test_a_booting_guest_may_refuse_a_right_password_for_a_while() -> None:
    opener = Opening(REFUSED, BOOTING, REFUSED)
    of(opener).open(LONG, booting=True)
    assert len(opener.timeouts) == 4


def test_a_password_that_is_refused_beyond_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "CREDENTIAL_GRACE", 0.25)
    opener, began = Opening(*[REFUSED] * 1000), time.monotonic()
    with pytest.raises(AccessDenied) as raised:
        of(opener).open(LONG, booting=True)
    assert raised.value is REFUSED
    assert 1 < len(opener.timeouts) < 1000
    assert 0.25 <= time.monotonic() - began < PATIENCE / 2


def test_a_guest_that_has_booted_refuses_a_wrong_password_at_once() -> None:
    opener = Opening(REFUSED)
    with pytest.raises(AccessDenied):
        of(opener).open(LONG, booting=False)
    assert len(opener.timeouts) == 1
    opener = Opening(REFUSED)
    with pytest.raises(AccessDenied):
        of(opener).main()
    assert len(opener.timeouts) == 1


def test_a_password_refused_to_the_end_of_the_time_is_named_in_the_timeout() -> None:
    with pytest.raises(BootTimeout, match="refused the credential"):
        of(Opening(*[REFUSED] * 1000)).open(0.25, booting=True)


def test_nobody_waits_for_the_guest_of_a_machine_that_has_died() -> None:
    looks = 0

    def watch() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise GuestCrashed("bugcheck", machine="vm", kind="bugcheck", text="0x7E")

    opener = Opening(*[BOOTING] * 1000)
    with pytest.raises(GuestCrashed):
        of(opener, watch).open(LONG, booting=True)
    assert len(opener.timeouts) == 2


def test_a_machine_that_died_while_the_last_try_hung_is_told_as_dead() -> None:
    opener = Opening(NotYet("opening a session with vm came to no end"), takes=0.2)

    def watch() -> None:
        if opener.timeouts:
            raise GuestCrashed("the guest of vm died", kind="hypervisor", text="worker process")

    with pytest.raises(GuestCrashed):
        of(opener, watch).open(0.1, booting=True)
    assert len(opener.timeouts) == 1


def test_dropping_ends_every_line_once_and_the_next_need_opens_a_new_one() -> None:
    opener = Opening()
    guest = of(opener)
    guest.main()
    guest.another()
    guest.drop()
    guest.drop()
    assert all(line.ended for line in opener.opened)
    assert opener.closed == 0
    assert guest.main() is opener.opened[2]


def test_closing_ends_what_stands_behind_the_lines_too() -> None:
    opener = Opening()
    guest = of(opener)
    guest.main()
    guest.close()
    guest.close()
    assert opener.opened[0].ended
    assert opener.closed == 2


def test_a_line_of_a_caller_that_closed_it_is_closed_once() -> None:
    closings: list[str] = []
    opener = Opening()
    guest = of(opener)
    first = guest.another()
    opener.opened[0]._on_close = lambda: closings.append("first")
    first.close()
    guest.another()
    guest.drop()
    assert closings == ["first"]
