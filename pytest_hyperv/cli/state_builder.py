"""Builds the states that tests start from, in place of running the tests: a plugin for a run of pytest."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pytest_hyperv.errors import HypervError
from pytest_hyperv.lab import Lab, lab_of
from pytest_hyperv.markers import Wish
from pytest_hyperv.stash import WISH


@dataclass(frozen=True)
class Outcome:
    """What became of one state. ``outcome`` is "there" (now, or already), "failed" or "skipped", with the reason."""

    name: str
    machine: str
    outcome: str
    reason: str = ""


class StateBuilder:
    """A plugin for one run of pytest, which then runs no test. ``outcomes`` tells of every state, once."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Build the states of all collected tests, each once; one that fails fails the run."""
        if session.testsfailed:
            raise session.Interrupted("a test module could not be collected")
        lab = lab_of(session.config)
        wishes = [item.stash[WISH] for item in session.items if WISH in item.stash]
        for wish in {(wish.backend, wish.spec, wish.state): wish for wish in wishes}.values():
            self.outcomes.append(_built(lab, wish))
        session.testsfailed = sum(each.outcome == "failed" for each in self.outcomes)
        return True


def _built(lab: Lab, wish: Wish) -> Outcome:
    name, machine = wish.state.name if wish.state else wish.spec.image, wish.spec.summary
    try:
        missing = lab.missing(wish)
        if missing:
            return Outcome(name, machine, "skipped", "; ".join(f"{what}: {why}" for what, why in missing.items()))
        lab.prepare(wish)
    except HypervError as error:
        return Outcome(name, machine, "failed", str(error))
    return Outcome(name, machine, "there")
