"""What states were used for, and the time that spares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_hyperv.states.uses import StateUse, chain, merged, saved

IMAGE = StateUse("i", "debian-12", "", "", "debian-12", "512 MiB", "qemu", "local", took=30.0, size=100)
STATE = StateUse("s", "installed", "t.py::installed", "i", "debian-12", "512 MiB", "qemu", "local", took=6.0, size=10)


def test_workers_uses_of_one_state_are_added_up() -> None:
    built = replace(STATE, built=1, clones=2, cloning=0.5)
    used = replace(STATE, clones=3, cloning=0.75, size=12)
    assert merged([built, IMAGE, used]) == {"s": replace(STATE, built=1, clones=5, cloning=1.25, size=12), "i": IMAGE}


def test_a_state_stands_on_all_below_it() -> None:
    uses = merged([STATE, IMAGE])
    assert chain(uses, uses["s"]) == [STATE, IMAGE]
    assert chain(merged([STATE]), STATE) == [STATE]


def test_what_is_saved_is_building_for_each_machine_less_building_once_and_cloning() -> None:
    uses = merged([replace(STATE, built=1, clones=4, cloning=1.0), replace(IMAGE, clones=1, cloning=0.25)])
    assert saved(uses) == pytest.approx(4 * 36 + 1 * 30 - 6 - 1.25)


def test_a_state_that_was_built_and_used_once_saves_nothing() -> None:
    assert saved(merged([replace(IMAGE, built=1, clones=1, cloning=0.25)])) < 0
