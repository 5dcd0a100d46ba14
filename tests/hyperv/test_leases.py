"""The book of leases on the host: one for all computers, and what is left in it of those that die."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_hyperv.backends.hyperv import host_book
from pytest_hyperv.backends.hyperv.book_pages import EXPIRY
from pytest_hyperv.backends.hyperv.host_book import HostBook
from pytest_hyperv.errors import HostError, HostUnreachable
from pytest_hyperv.leases import Budget, Lease, Need
from pytest_hyperv.spec import GIB, MIB
from tests.hyperv.simulation import Simulation, eventually

TWO = Budget(GIB, 8, 8)
"""Room for two small machines."""
OTHER = """
import os, signal, sys
from pathlib import Path
from benchmarks.simulated import open_backend
from pytest_hyperv.leases import Budget, Lease, Need

backend = open_backend(Path(sys.argv[1]))
lease = Lease("of-the-dead", Need(2**29, 1), "a test")
assert backend.leases.take([lease], Budget(2**30, 8, 8)) is None
os.kill(os.getpid(), signal.SIGKILL)
"""


def small(ident: str, *, spare: bool = False) -> Lease:
    """The lease of a small machine."""
    return Lease(ident, Need(512 * MIB, 1), f"test {ident}", spare)


@pytest.fixture
def open_book(host: Simulation) -> Iterator[Callable[[], HostBook]]:
    """Opens the host's book as one more process would."""
    opened = []

    def make() -> HostBook:
        opened.append(host.open())
        return opened[-1].leases

    yield make
    for backend in opened:
        backend.close()


def rewrite(host: Simulation, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the book behind everybody's back."""
    (book,) = host.lab.host.glob("drives/**/leases/book.json")
    told = json.loads(book.read_text())
    change(told)
    book.write_text(json.dumps(told))


def long_ago(told: dict[str, Any]) -> None:
    """Nobody in the book was heard of for too long."""
    for guest in told["guests"].values():
        guest["seen"] -= EXPIRY


def test_runs_of_two_computers_share_the_room_of_a_host(open_book: Callable[[], HostBook]) -> None:
    mine, theirs = open_book(), open_book()
    assert mine.take([small("a")], TWO) is None
    assert theirs.take([small("b")], TWO) is None
    refusal = theirs.take([small("c")], TWO)
    assert refusal is not None
    assert [(str(each.lease.purpose), each.mine) for each in refusal.held] == [("test a", False), ("test b", True)]
    assert [holding.lease.id for holding in mine.waiting()] == ["c"]
    mine.give_back([small("a")])
    assert mine.take([small("d", spare=True)], TWO) is not None
    assert theirs.take([small("c")], TWO) is None
    assert [holding.lease.id for holding in mine.held()] == ["b", "c"]
    assert mine.waiting() == ()


def test_several_leases_are_taken_together_or_not_at_all(open_book: Callable[[], HostBook]) -> None:
    mine, theirs = open_book(), open_book()
    assert mine.take([small("a")], TWO) is None
    assert theirs.take([small("b"), small("c")], TWO) is not None
    assert [holding.lease.id for holding in theirs.held()] == ["a"]


def test_who_closes_the_book_leaves_nothing_in_it(host: Simulation, open_book: Callable[[], HostBook]) -> None:
    book = open_book()
    assert book.take([small("a")], TWO) is None
    assert book.take([small("b"), small("c")], TWO) is not None
    book.close()
    assert host.leased() == []


def elsewhere(told: dict[str, Any]) -> None:
    """All in the book are on another computer."""
    for guest in told["guests"].values():
        guest["realm"] = "another computer"


def test_what_the_dead_held_is_free_at_once_beside_them_and_elsewhere_once_they_were_silent_for_long(
    host: Simulation, open_book: Callable[[], HostBook]
) -> None:
    ended = subprocess.run([sys.executable, "-c", OTHER, str(host.cache)], timeout=60)
    assert ended.returncode < 0
    mine = open_book()
    assert mine.held() == ()
    rewrite(host, elsewhere)
    assert [holding.lease.id for holding in mine.held()] == ["of-the-dead"]
    assert mine.take([small("a"), small("b")], TWO) is not None
    rewrite(host, long_ago)
    assert mine.take([small("a"), small("b")], TWO) is None
    assert [holding.lease.id for holding in mine.held()] == ["a", "b"]


def test_who_lives_is_heard_of(
    host: Simulation, open_book: Callable[[], HostBook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_book, "RENEWAL", 0.05)
    book, others = open_book(), open_book()
    assert book.take([small("a")], TWO) is None
    rewrite(host, long_ago)
    assert eventually(others.held, bool)


def test_who_was_taken_for_dead_is_in_the_book_again_with_all_it_holds(
    host: Simulation, open_book: Callable[[], HostBook]
) -> None:
    mine, theirs = open_book(), open_book()
    assert mine.take([small("a")], TWO) is None
    rewrite(host, long_ago)
    assert theirs.take([small("b")], TWO) is None
    assert [entry["lease"]["id"] for entry in host.leased()] == ["b"]
    mine.change(small("a", spare=True))
    assert {holding.lease.id for holding in theirs.held()} == {"a", "b"}


def test_a_book_that_cannot_be_read_is_begun_anew(host: Simulation, open_book: Callable[[], HostBook]) -> None:
    mine, theirs = open_book(), open_book()
    assert mine.take([small("a")], TWO) is None
    (book,) = host.lab.host.glob("drives/**/leases/book.json")
    book.write_text('{"guests": {"x"')
    assert theirs.take([small("b")], TWO) is None
    mine.give_back([])
    mine.change(small("a"))
    assert {holding.lease.id for holding in theirs.held()} == {"a", "b"}


def test_only_one_of_all_is_at_a_thing_and_that_takes_no_room(open_book: Callable[[], HostBook]) -> None:
    mine, theirs = open_book(), open_book()
    with mine.alone("the image", 0):
        assert mine.take([small("a"), small("b")], TWO) is None
        with pytest.raises(HostError, match="others have been at the image"), theirs.alone("the image", 0):
            pass
        with theirs.alone("another image", 0):
            pass
    with theirs.alone("the image", 0):
        assert len(mine.held()) == 3


def test_no_race_of_many_gets_more_than_there_is(open_book: Callable[[], HostBook]) -> None:
    books = [open_book() for _ in range(3)]

    def race(number: int) -> int:
        taken = 0
        for turn in range(15):
            lease = small(f"{number}-{turn}", spare=True)
            if books[number].take([lease], TWO) is None:
                taken += 1
                held = books[number].held()
                assert len(held) <= 2
                assert lease in [holding.lease for holding in held]
                books[number].give_back([lease])
        return taken

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(race, range(3))) > 0


def test_a_process_that_is_lost_is_opened_again(host: Simulation, open_book: Callable[[], HostBook]) -> None:
    book = open_book()
    assert book.take([small("a")], TWO) is None
    assert book._process is not None
    book._process.close()
    assert [holding.lease.id for holding in book.held()] == ["a"]
    book._process.close()
    host.plan("process-dies-at-start", times=1000)
    with pytest.raises(HostUnreachable):
        book.take([small("b")], TWO)
    host.calm()
    assert book.take([small("b")], TWO) is None
