"""What a run made, where, and how long tests waited for it; collected from every worker, told once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from pytest_hyperv.errors import HypervError
from pytest_hyperv.figures import Figures
from pytest_hyperv.stash import FIGURES, RUN, WORKER_KEY


def finish(session: pytest.Session) -> None:
    """Close what this process holds, if anything, and keep its figures for the summary or for the controller.

    A machine that cannot be ended fails the run, here and in the controller.
    """
    config = session.config
    figures = _figures(config)
    run = config.stash.get(RUN, None)
    if run is not None:
        try:
            run.close()
        except HypervError as error:
            figures.failures.append(f"{type(error).__name__}: {error}")
        figures.add(run.figures())
    if figures.failures and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output[WORKER_KEY] = asdict(figures)


def take_over(config: pytest.Config, output: Mapping[str, Any]) -> None:
    """Add the figures that a worker handed on."""
    _figures(config).add(Figures(**output))


def lines(figures: Figures) -> list[str]:
    """The summary: what could not be ended, and one line when machines were made."""
    failures = [f"hyperv: ERROR at the end of the run: {failure}" for failure in figures.failures]
    if not figures.machines:
        return failures
    each = figures.waited / figures.machines
    made = f"{_counted(figures.machines, 'machine')} of {', '.join(figures.images)}"
    how = f"{figures.waited:.1f} s waited ({each * 1000:.0f} ms each), {figures.spares_used} from a warm spare"
    built = f", {_counted(figures.states_built, 'state')} built" if figures.states_built else ""
    return [*failures, f"hyperv: {'; '.join(figures.where)}: {made}, {how}{built}"]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _figures(config: pytest.Config) -> Figures:
    return config.stash.setdefault(FIGURES, Figures())
