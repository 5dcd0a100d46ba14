"""The book of leases: who gets room, in which order, and what is left of owners that are killed or lose a race."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_hyperv.errors import HostError
from pytest_hyperv.identity import ProcessIdentity
from pytest_hyperv.lease_file import LeaseFile
from pytest_hyperv.leases import Budget, Lease, Need
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.spec import GIB, MIB

SMALL = Need(512 * MIB, 1)
TWO = Budget(GIB, 8, 8)
"""Room for two small machines."""
OTHER = """
import json, sys
from pathlib import Path
from pytest_hyperv.lease_file import LeaseFile
from pytest_hyperv.leases import Budget, Lease, Need

book = LeaseFile(Path(sys.argv[1]), "fake")
for line in sys.stdin:
    operation, ids, spare, memory = json.loads(line)
    leases = [Lease(ident, Need(memory, 1), "of another", spare) for ident in ids]
    if operation == "take":
        print(book.take(leases, Budget(2**30, 8, 8)) is None, flush=True)
    else:
        book.give_back(leases)
        print("done", flush=True)
"""
RACE = """
import sys
from pathlib import Path
from pytest_hyperv.lease_file import LeaseFile
from pytest_hyperv.leases import Budget, Lease, Need

book, name = LeaseFile(Path(sys.argv[1]), "fake"), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
taken = 0
for number in range(40):
    lease = Lease(f"{name}-{number}", Need(2**29, 1), name, spare=True)
    if book.take([lease], Budget(2**30, 8, 8)) is None:
        taken += 1
        held = book.held()
        assert len(held) <= 2, held
        assert lease in [holding.lease for holding in held]
        book.give_back([lease])
print(taken, flush=True)
"""


class Other:
    """Another process at the same book."""

    def __init__(self, cache: Path) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", OTHER, str(cache)], text=True, **pipes)  # type: ignore[call-overload]

    def _told(self, operation: str, ids: tuple[str, ...], spare: bool, memory: int) -> str:
        self.process.stdin.write(json.dumps([operation, ids, spare, memory]) + "\n")
        self.process.stdin.flush()
        return str(self.process.stdout.readline().strip())

    def takes(self, *ids: str, spare: bool = False, memory: int = 512 * MIB) -> bool:
        """Whether it gets these leases, all of them."""
        return self._told("take", ids, spare, memory) == "True"

    def gives_back(self, *ids: str) -> None:
        """Have it give these back."""
        assert self._told("give", ids, False, MIB) == "done"

    def end(self) -> None:
        """Kill it."""
        with self.process:
            self.process.kill()


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Callable[[], Other]]:
    """Starts other processes at the book."""
    started: list[Other] = []

    def start() -> Other:
        started.append(Other(tmp_path))
        return started[-1]

    yield start
    for other in started:
        other.end()


@pytest.fixture
def book(tmp_path: Path) -> LeaseFile:
    return LeaseFile(tmp_path, "fake")


def small(ident: str, *, spare: bool = False) -> Lease:
    return Lease(ident, SMALL, f"test {ident}", spare)


def ids(book: LeaseFile) -> tuple[list[str], list[str]]:
    """What is held and what is waited for, in order."""
    return [each.lease.id for each in book.held()], [each.lease.id for each in book.waiting()]


def test_leases_are_taken_until_there_is_no_room_and_the_refusal_says_who_holds_it(book: LeaseFile) -> None:
    assert book.take([small("a")], TWO) is None
    assert book.take([small("b", spare=True)], TWO) is None
    refusal = book.take([small("c")], TWO)
    assert refusal is not None
    assert [(each.lease.id, each.mine, each.lease.spare) for each in refusal.held] == [
        ("a", True, False),
        ("b", True, True),
    ]
    assert str(refusal.held[0]) == f"test a (process {ProcessIdentity.own().pid}; 512 MiB, 1 CPU)"
    assert refusal.ahead == ()
    assert ids(book) == (["a", "b"], ["c"])
    book.give_back([small("b")])
    assert book.take([small("c")], TWO) is None
    assert ids(book) == (["a", "c"], [])


def test_several_are_taken_together_or_not_at_all(book: LeaseFile) -> None:
    assert book.take([small("a")], TWO) is None
    assert book.take([small("b"), small("c")], TWO) is not None
    assert ids(book) == (["a"], ["b", "c"])
    book.give_back([small("b"), small("c")])
    assert ids(book) == (["a"], [])
    book.give_back([small("a")])
    assert book.take([small("b"), small("c")], TWO) is None
    assert ids(book) == (["b", "c"], [])


def test_every_part_of_the_budget_counts(book: LeaseFile) -> None:
    assert book.take([small("a")], Budget(GIB, 8, 1)) is None
    assert book.take([small("b", spare=True)], Budget(GIB, 8, 1)) is not None
    assert book.take([small("b", spare=True)], Budget(GIB, 1, 8)) is not None
    assert book.take([small("b", spare=True)], Budget(GIB - 1, 8, 8)) is not None
    assert book.take([small("b", spare=True)], TWO) is None


def test_who_waits_longest_is_served_first_although_somebody_smaller_would_fit(
    book: LeaseFile, another: Callable[[], Other]
) -> None:
    first, second, third = another(), another(), another()
    assert first.takes("held")
    assert not second.takes("big", memory=GIB)
    assert not third.takes("small")
    refusal = book.take([small("mine")], TWO)
    assert refusal is not None
    assert [each.lease.id for each in refusal.ahead] == ["big", "small"]
    first.gives_back("held")
    assert not third.takes("small")
    assert second.takes("big", memory=GIB)
    second.gives_back("big")
    assert third.takes("small")
    assert book.take([small("mine")], TWO) is None


def test_who_holds_a_machine_goes_before_those_that_hold_none(book: LeaseFile, another: Callable[[], Other]) -> None:
    other = another()
    assert book.take([small("a")], TWO) is None
    assert not other.takes("big", memory=GIB)
    assert ids(book)[1] == ["big"]
    assert book.take([small("b")], TWO) is None
    assert ids(book) == (["a", "b"], ["big"])


def test_who_holds_only_spares_waits_like_the_others(book: LeaseFile, another: Callable[[], Other]) -> None:
    other = another()
    assert book.take([small("a", spare=True)], TWO) is None
    assert not other.takes("big", memory=GIB)
    assert book.take([small("b")], TWO) is not None


def test_spares_are_refused_while_anybody_waits_and_do_not_wait_themselves(
    book: LeaseFile, another: Callable[[], Other]
) -> None:
    other = another()
    assert book.take([small("a")], TWO) is None
    assert not other.takes("big", memory=GIB)
    refusal = book.take([small("b", spare=True)], TWO)
    assert refusal is not None
    assert [each.lease.id for each in refusal.ahead] == ["big"]
    other.gives_back("big")
    assert ids(book) == (["a"], [])
    assert book.take([small("b", spare=True)], TWO) is None


def test_a_spare_that_a_test_got_is_none_any_more(book: LeaseFile) -> None:
    assert book.take([small("a", spare=True)], TWO) is None
    book.change(Lease("a", SMALL, "test_it.py::test_it"))
    (holding,) = book.held()
    assert (holding.lease.purpose, holding.lease.spare) == ("test_it.py::test_it", False)
    book.change(small("unknown"))
    assert ids(book) == (["a"], [])


def test_what_a_killed_owner_held_or_waited_for_is_free_at_once(book: LeaseFile, another: Callable[[], Other]) -> None:
    holder, waiter = another(), another()
    assert holder.takes("a", "b")
    assert not waiter.takes("c")
    assert ids(book) == (["a", "b"], ["c"])
    waiter.end()
    assert ids(book) == (["a", "b"], [])
    assert book.take([small("mine")], TWO) is not None
    holder.end()
    assert book.take([small("mine")], TWO) is None
    assert ids(book) == (["mine"], [])


def test_an_owner_whose_number_was_given_to_another_process_holds_nothing(book: LeaseFile, tmp_path: Path) -> None:
    assert book.take([small("a")], TWO) is None
    (path,) = (tmp_path / "leases").glob("fake.*.json")
    entries = json.loads(path.read_text())
    entries[0]["owner"]["started"] = "another boot:1"
    path.write_text(json.dumps(entries))
    assert ids(book) == ([], [])


def test_kept_machines_of_dead_owners_count(book: LeaseFile, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "machines")
    dead = ProcessIdentity(1, "another boot:1")
    for backend, kept in (("fake", "to look at it"), ("other", "elsewhere"), ("fake", "")):
        record = ledger.open(backend, "a test", memory=512 * MIB, cpus=1)
        facts = json.loads((record.folder / "record.json").read_text())
        facts["owner"], facts["kept"] = {"pid": dead.pid, "started": dead.started}, kept
        (record.folder / "record.json").write_text(json.dumps(facts))
    mine = ledger.keep(ledger.open("fake", "my own", memory=512 * MIB, cpus=1), "its lease counts as long as I live")
    (holding,) = book.held()
    assert holding.lease.need == SMALL
    assert holding.lease.purpose.endswith("kept: to look at it")
    assert mine.name not in holding.lease.purpose
    assert book.take([small("a")], TWO) is None
    assert book.take([small("b")], TWO) is not None


def test_racing_processes_never_hold_more_than_there_is(tmp_path: Path, book: LeaseFile) -> None:
    argv = [sys.executable, "-c", RACE, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    racers = [subprocess.Popen([*argv, str(number)], text=True, **pipes) for number in range(4)]  # type: ignore[call-overload]
    try:
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        taken = [int(racer.stdout.readline()) for racer in racers]
    finally:
        for racer in racers:
            with racer:
                racer.kill()
    assert sum(taken) > 0
    assert book.held() == ()


def test_threads_of_one_process_do_not_lose_each_others_leases(book: LeaseFile) -> None:
    plenty = Budget(1000 * GIB, 1000, 1000)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: book.take([small(str(n))], plenty), range(64))) == [None] * 64
    assert len(book.held()) == 64


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"{}", b'[{"lease": 1}]', b'[{"lease": {}}]', b"\xff\xfe"])
def test_a_book_that_lost_power_half_written_is_empty(book: LeaseFile, tmp_path: Path, content: bytes) -> None:
    assert book.take([small("a")], TWO) is None
    (edition,) = (tmp_path / "leases").glob("fake.*.json")
    edition.write_bytes(content)
    assert book.held() == ()
    assert book.take([small("b")], TWO) is None
    assert ids(book) == (["b"], [])


def test_only_the_last_edition_stays_and_counts_although_somebody_died_before_removing_others(
    book: LeaseFile, tmp_path: Path
) -> None:
    for number in range(12):
        assert book.take([small(str(number))], Budget(100 * GIB, 100, 100)) is None
    (edition,) = (tmp_path / "leases").glob("fake.*.json")
    assert edition.name == "fake.12.json"
    edition.with_name("fake.9.json").write_text("[]")
    assert len(book.held()) == 12
    book.give_back([small("0")])
    assert [path.name for path in (tmp_path / "leases").glob("fake.*.json")] == ["fake.13.json"]
    assert len(book.held()) == 11


def test_the_book_is_readable_by_its_user_only(book: LeaseFile, tmp_path: Path) -> None:
    assert book.take([small("a")], TWO) is None
    assert (tmp_path / "leases").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "leases").iterdir()} == {0o600}


def test_a_place_that_cannot_be_a_folder_is_a_host_error(tmp_path: Path) -> None:
    (tmp_path / "leases").touch()
    with pytest.raises(HostError, match=r"the book of leases .* cannot be kept") as unusable:
        LeaseFile(tmp_path, "fake").take([small("a")], TWO)
    assert "--hyperv-cache" in unusable.value.hint
