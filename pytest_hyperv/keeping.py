"""Which machines are kept after their tests, and what people are told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from pytest_hyperv.stash import LOANS, SETTINGS

if TYPE_CHECKING:
    from pytest_hyperv.loan import Loan


def choose(item: pytest.Item, outcome: Literal["passed", "failed", "skipped"]) -> None:
    """Have the machines of a test kept when ``--hyperv-keep`` says so, now that its end is known."""
    wanted = item.config.stash[SETTINGS].keep
    if wanted == "all" or (wanted == "failed" and outcome == "failed"):
        for loan in item.stash.get(LOANS, ()):
            loan.vm.keep(f"{item.nodeid} {outcome}")


def open_to_people(loans: list[Loan]) -> list[str]:
    """Let people into the machines of a test that a debugger has stopped: how, a line each."""
    lines = []
    for loan in loans:
        loan.vm.let_in()
        lines.append(f"hyperv: to enter {loan.vm.name} meanwhile: {loan.vm.way_in}")
    return lines
