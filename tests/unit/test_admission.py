"""Waiting for room: what is said meanwhile, what is done about it, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from pytest_hyperv import admission
from pytest_hyperv.admission import Admission
from pytest_hyperv.errors import NoRoom
from pytest_hyperv.identity import ProcessIdentity
from pytest_hyperv.lease_file import LeaseFile
from pytest_hyperv.leases import Budget, Lease, Need
from pytest_hyperv.progress import Silent, Task
from pytest_hyperv.spec import GIB, MIB

SMALL = Need(512 * MIB, 1)
TWO = Budget(GIB, 8, 8)
THEIRS = Lease("theirs", SMALL, "test_of_others.py::test_it")


class Told(Silent):
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    @contextmanager
    def task(self, title: str, steps: int) -> Iterator[Task]:
        """Note the title."""
        self.titles.append(title)
        with super().task(title, steps) as task:
            yield task


class Bench:
    """An admission of this process to a host with room for two small machines, one of which another process holds."""

    def __init__(self, cache: Path) -> None:
        self.book, self.told, self.reaped = LeaseFile(cache, "fake"), Told(), 0
        assert self.book.take([THEIRS], TWO) is None
        (path,) = (cache / "leases").glob("fake.*.json")
        entries = json.loads(path.read_text())
        first = ProcessIdentity.of(1)
        assert first is not None
        entries[0]["owner"] = asdict(first)
        path.write_text(json.dumps(entries))

    def admission(self, timeout: float) -> Admission:
        """The way in."""

        def reap() -> None:
            self.reaped += 1

        return Admission(self.book, lambda: TWO, self.told, timeout=timeout, reap=reap)

    def held(self) -> list[str]:
        """For whom machines are."""
        return [holding.lease.purpose for holding in self.book.held()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def nothing(seconds: float) -> bool:  # noqa: ARG001
    return False


def test_a_machine_for_which_there_is_room_gets_in_without_a_word(bench: Bench) -> None:
    (lease,) = bench.admission(0).admit(SMALL, "mine", nothing)
    assert bench.held() == [THEIRS.purpose, "mine"]
    assert (bench.told.titles, bench.reaped) == ([], 0)
    bench.admission(0).give_back(lease)
    assert bench.held() == [THEIRS.purpose]


def test_who_waits_says_so_after_a_while_reaps_and_gets_in_when_others_give_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "TELL", 0)
    looks = iter(range(3))

    def look(seconds: float) -> bool:  # noqa: ARG001
        if next(looks, None) is None:
            bench.book.give_back([THEIRS])
        return False

    assert len(bench.admission(60).admit(SMALL, "mine", look, count=2)) == 2
    assert bench.held() == ["mine", "mine"]
    assert bench.told.titles == [
        "Waiting for room for 2 machines, 1024 MiB, 2 CPUs, "
        "held by test_of_others.py::test_it (process 1; 512 MiB, 1 CPU)"
    ]
    assert bench.reaped == 1


def test_what_this_process_can_do_without_is_given_up_first(bench: Bench) -> None:
    way = bench.admission(60)
    spare = way.admit_spare(SMALL, "spare")
    assert spare is not None

    def give_up(seconds: float) -> bool:  # noqa: ARG001
        way.give_back(spare)
        return True

    way.admit(SMALL, "mine", give_up)
    assert bench.held() == [THEIRS.purpose, "mine"]
    assert bench.reaped == 0


def test_time_that_is_up_is_an_error_after_which_nobody_waits(bench: Bench) -> None:
    with pytest.raises(NoRoom, match=r"no room for 2 machines.* within 0\.01 s, held by test_of_others") as late:
        bench.admission(0.01).admit(SMALL, "mine", nothing, count=2)
    assert "--hyperv-room-timeout" in late.value.hint
    assert not bench.admission(0).crowded()
    assert bench.held() == [THEIRS.purpose]


def test_an_interruption_leaves_nobody_waiting(bench: Bench) -> None:
    def interrupted(seconds: float) -> bool:  # noqa: ARG001
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.admission(60).admit(SMALL, "mine", interrupted, count=2)
    assert not bench.admission(0).crowded()


def test_room_that_only_this_process_holds_is_not_waited_for(bench: Bench) -> None:
    way = bench.admission(600)
    bench.book.give_back([THEIRS])
    way.admit(SMALL, "a", nothing)
    way.admit(SMALL, "b", nothing)
    with pytest.raises(NoRoom, match=r"held by a \(.*\), b \(.*\): all of it is held by this very process"):
        way.admit(SMALL, "c", nothing)
    assert bench.held() == ["a", "b"]


def test_what_can_never_fit_and_spares_without_room_are_refused_at_once(bench: Bench) -> None:
    with pytest.raises(NoRoom, match=r"2048 MiB, 1 CPU can never fit: the budget of this host is 1024 MiB"):
        bench.admission(600).admit(Need(2 * GIB, 1), "mine", nothing)
    assert bench.admission(600).admit_spare(Need(2 * GIB, 1), "spare") is None
    assert bench.admission(600).admit_spare(Need(GIB, 1), "spare") is None
    assert bench.held() == [THEIRS.purpose]


def test_room_is_seen_unless_somebody_waits_for_it(bench: Bench) -> None:
    way = bench.admission(60)
    assert way.has_room(SMALL)
    assert not way.has_room(Need(GIB, 1))
    assert bench.book.take([Lease("big", Need(GIB, 1), "big")], TWO) is not None
    assert way.crowded()
    assert not way.has_room(SMALL)
