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


@pytest.fixture
def holding(clock: Clock) -> ReceivePace:
    """One that has seen an answer in two pieces, 4 ms apart."""
    pace = ReceivePace(clock)
    hold_before_answer(pace, clock, 0.0, 0.004)
    clock.now += 1
    return pace


def hold_before_answer(pace: ReceivePace, clock: Clock, *pieces: float) -> float:
    """The hold after a small Send, whose answer then comes in pieces at so many seconds after it."""
    pace.send_begins(SMALL)
    pace.send_ended(SMALL)
    hold, sent = pace.due_in, clock.now
    for seconds in pieces:
        clock.now = sent + seconds
        pace.received(SMALL)
    return hold


def test_nothing_is_held_back_while_answers_come_in_one_piece(clock: Clock) -> None:
    pace = ReceivePace(clock)
    assert [hold_before_answer(pace, clock, 0.01) for _ in range(20)] == [0] * 20
    assert pace.due_in == 0


def test_after_an_answer_in_pieces_a_small_send_holds_the_receive_back(clock: Clock, holding: ReceivePace) -> None:
    holding.send_begins(SMALL)
    holding.send_ended(SMALL)
    assert holding.due_in == pytest.approx(0.0044)
    clock.now += 0.0045
    assert holding.due_in == 0
    holding.received(SMALL)
    assert holding.due_in == pytest.approx(0.005)


def test_a_send_that_does_not_end_holds_it_back_only_so_long(clock: Clock, holding: ReceivePace) -> None:
    holding.send_begins(SMALL)
    assert 0 < holding.due_in <= 0.02
    clock.now += 0.02
    assert holding.due_in == 0


def test_bulk_is_not_held_back_in_either_direction(clock: Clock, holding: ReceivePace) -> None:
    hold_before_answer(holding, clock, 0.001)
    assert holding.due_in > 0
    holding.send_begins(BULK)
    assert holding.due_in == 0
    holding.send_ended(BULK)
    assert holding.due_in == 0
    holding.received(BULK)
    assert holding.due_in == 0


def test_the_hold_follows_the_last_piece_of_an_answer_up_to_a_limit(clock: Clock, holding: ReceivePace) -> None:
    hold_before_answer(holding, clock, 0.001, 0.008)
    assert hold_before_answer(holding, clock, 0.001, 0.0119) == pytest.approx(0.0088)
    assert hold_before_answer(holding, clock) == pytest.approx(0.012)


def test_output_that_goes_on_for_long_does_not_lengthen_it(clock: Clock, holding: ReceivePace) -> None:
    hold_before_answer(holding, clock, 0.001, 0.010, 0.5)
    assert hold_before_answer(holding, clock) == pytest.approx(0.0044)


def test_answers_in_one_piece_shorten_it_slowly_and_end_it_at_last(clock: Clock, holding: ReceivePace) -> None:
    first = hold_before_answer(holding, clock, 0.005)
    assert first * 0.98 < hold_before_answer(holding, clock, 0.005) < first
    assert [hold_before_answer(holding, clock, 0.005) for _ in range(500)][-1] == 0


def test_a_send_without_an_answer_teaches_nothing(clock: Clock, holding: ReceivePace) -> None:
    first = hold_before_answer(holding, clock)
    assert hold_before_answer(holding, clock) == pytest.approx(first)


def test_release_lets_a_waiting_thread_go(holding: ReceivePace) -> None:
    holding.send_begins(SMALL)
    assert holding.due_in > 0
    waiting = threading.Thread(target=holding.wait)
    waiting.start()
    holding.release()
    waiting.join(10)
    assert not waiting.is_alive()
    assert holding.due_in == 0
