"""Needs and budgets: arithmetic on a host's room, and how people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.capabilities import HostFacts
from pytest_hyperv.leases import Budget, Limits, Need
from pytest_hyperv.spec import GIB, MIB, MachineSpec


def facts(memory: int, cpus: int) -> HostFacts:
    return HostFacts(memory, cpus, 100 * GIB, "linux", "server")


@pytest.mark.parametrize(
    ("memory", "left"), [(1 * GIB, GIB // 2), (2 * GIB, GIB), (8 * GIB, 7 * GIB), (64 * GIB, 56 * GIB)]
)
def test_a_host_keeps_some_memory_for_itself_and_gives_its_processors_four_times(memory: int, left: int) -> None:
    assert Budget.of(facts(memory, 2)) == Budget(left, 8, 8)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", Limits()),
        ("memory=8GiB", Limits(memory=8 * GIB)),
        ("vms=4", Limits(vms=4)),
        (" cpus = 6 , memory=1.5GiB,", Limits(memory=1536 * MIB, cpus=6)),
        ("memory=8GiB,vms=4,cpus=6", Limits(8 * GIB, 6, 4)),
    ],
)
def test_limits_are_words_in_any_order_each_of_them_optional(text: str, limits: Limits) -> None:
    assert Limits.parse(text) == limits


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8GiB", "'8GiB' is none of memory=SIZE, cpus=N, vms=N"),
        ("disk=8GiB", "'disk=8GiB' is none of"),
        ("vms=1,vms=2", "each named once"),
        ("vms=0", "'0' is no whole number of at least 1"),
        ("cpus=-1", "'-1' is no whole number"),
        ("cpus=1.5", "'1.5' is no whole number"),
        ("vms=٣", "is no whole number"),
        ("memory=lots", "'lots' is no size"),
        ("memory=", "'' is no size"),
    ],
)
def test_limits_that_are_none_say_what_is_accepted(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Limits.parse(text)


part = st.none() | st.integers(1, 1000)


@given(st.builds(Limits, st.none() | st.integers(1, 2**20).map(lambda mib: mib * MIB), part, part))
def test_limits_read_what_they_write(limits: Limits) -> None:
    assert Limits.parse(str(limits)) == limits


def test_what_is_not_named_comes_from_the_host() -> None:
    host = facts(16 * GIB, 4)
    assert Limits().on(host) == Budget.of(host) == Budget(14 * GIB, 16, 16)
    assert Limits(memory=32 * GIB).on(host) == Budget(32 * GIB, 16, 16)
    assert Limits(vms=2).on(host) == Budget(14 * GIB, 16, 2)
    assert Limits(cpus=40).on(host) == Budget(14 * GIB, 40, 40)


@pytest.mark.parametrize(
    ("need", "fits"),
    [
        (Need(4 * GIB, 4, 2), True),
        (Need(4 * GIB + 1, 1), False),
        (Need(1, 5), False),
        (Need(1, 1, 3), False),
    ],
)
def test_every_part_of_a_need_must_fit(need: Need, fits: bool) -> None:
    assert Budget(4 * GIB, 4, 2).holds(need) is fits


def test_needs_add_up_and_fit_a_number_of_times() -> None:
    one = Need.of(MachineSpec(memory=512 * MIB, cpus=2))
    assert Need.together([one, one, Need(GIB, 1)]) == Need(2 * GIB, 5, 3)
    assert Need.together([]) == Need(0, 0, 0)
    assert [Budget(*parts).times(one) for parts in ((GIB, 8, 8), (8 * GIB, 5, 8), (8 * GIB, 8, 1), (MIB, 8, 8))] == [
        2,
        2,
        1,
        0,
    ]


def test_dynamic_memory_takes_what_the_machine_starts_with() -> None:
    assert Need.of(MachineSpec(memory=GIB, dynamic_memory=(GIB // 2, 8 * GIB))) == Need(GIB, 1)


def test_rooms_are_told_in_words() -> None:
    assert str(Need(512 * MIB, 1)) == "512 MiB, 1 CPU"
    assert str(Need(GIB, 3, 2)) == "2 machines, 1024 MiB, 3 CPUs"
    assert str(Budget(2 * GIB, 8, 1)) == "2048 MiB, 8 CPUs, 1 machine"
