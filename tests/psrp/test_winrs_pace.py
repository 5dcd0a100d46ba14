"""How long the next Receive is held back, by a clock of the test's own."""

from __future__ import annotations

import threading

import pytest

from pytest_hyperv.psrp.winrs_pace import ReceivePace

SMALL, BULK = 100, 50_000


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def hold_after(pace: ReceivePace, answers: int) -> float:
    """The hold after a small Send whose answer then comes in so many pieces."""
    pace.send_begins(SMALL)
    pace.send_ended(SMALL)
    hold = pace.due_in
    for _ in range(answers):
        pace.received(SMALL)
    return hold


def test_nothing_is_held_back_at_first(clock: Clock) -> None:
    assert ReceivePace(clock).due_in == 0


def test_a_small_send_holds_the_receive_back_until_its_answer_can_be_complete(clock: Clock) -> None:
    pace = ReceivePace(clock)
    pace.send_begins(SMALL)
    pace.send_ended(SMALL)
    assert 0 < pace.due_in <= 0.008
    clock.now += 0.008
    assert pace.due_in == 0


def test_a_send_that_does_not_end_holds_it_back_only_so_long(clock: Clock) -> None:
    pace = ReceivePace(clock)
    pace.send_begins(SMALL)
    assert 0 < pace.due_in <= 0.02
    clock.now += 0.02
    assert pace.due_in == 0


def test_bulk_is_not_held_back_in_either_direction(clock: Clock) -> None:
    pace = ReceivePace(clock)
    pace.send_begins(BULK)
    assert pace.due_in == 0
    pace.send_ended(BULK)
    assert pace.due_in == 0
    pace.received(BULK)
    assert pace.due_in == 0


def test_answers_in_pieces_lengthen_the_hold_up_to_a_limit(clock: Clock) -> None:
    pace = ReceivePace(clock)
    first = hold_after(pace, answers=2)
    assert hold_after(pace, answers=2) > first
    longest = [hold_after(pace, answers=2) for _ in range(100)][-1]
    assert longest == pytest.approx(0.008)


def test_answers_in_one_piece_shorten_it_slowly_down_to_a_limit(clock: Clock) -> None:
    pace = ReceivePace(clock)
    first = hold_after(pace, answers=1)
    assert first * 0.95 < hold_after(pace, answers=1) < first
    shortest = [hold_after(pace, answers=1) for _ in range(5000)][-1]
    assert shortest == pytest.approx(0.001)


def test_release_lets_a_waiting_thread_go() -> None:
    pace = ReceivePace(Clock())
    pace.send_begins(SMALL)
    waiting = threading.Thread(target=pace.wait)
    waiting.start()
    pace.release()
    waiting.join(10)
    assert not waiting.is_alive()
    assert pace.due_in == 0
