"""What a run made, where, and how long tests waited for it; collected from every worker, told once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from pytest_hyperv.durations import took
from pytest_hyperv.errors import HypervError
from pytest_hyperv.figures import Figures
from pytest_hyperv.returning import end_all
from pytest_hyperv.stash import CANNOT, FIGURES, NONE_CAN, RUN, WORKER_KEY
from pytest_hyperv.states.uses import StateUse, merged, saved

WORTH_TELLING = 1.0
"""Seconds that states must have saved for it to be told."""


def finish(session: pytest.Session) -> None:
    """Close what this process holds, if anything, and keep its figures for the summary or for the controller.

    A machine that cannot be ended fails the run, here and in the controller.
    """
    config = session.config
    figures = _figures(config)
    run = config.stash.get(RUN, None)
    if run is not None:
        failures = end_all(session)
        try:
            run.close()
        except HypervError as error:
            failures.append(error)
        figures.failures += [f"{type(error).__name__}: {error}" for error in failures]
        figures.add(run.figures())
    if figures.failures and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output[WORKER_KEY] = figures.to_data()


def take_over(config: pytest.Config, output: Mapping[str, Any]) -> None:
    """Add the figures that a worker handed on."""
    _figures(config).add(Figures(**output))


def reasons(reports: Iterable[Any]) -> list[str]:
    """What this host cannot do, for each report of a test that this plugin skipped."""
    told = (report.longrepr[2].removeprefix("Skipped: ") for report in reports if isinstance(report.longrepr, tuple))
    return [
        reason.removeprefix(CANNOT).removeprefix(NONE_CAN) for reason in told if reason.startswith((CANNOT, NONE_CAN))
    ]


def lines(figures: Figures, skips: Sequence[str]) -> Iterator[str]:
    """The summary: what could not be ended, what was made, and what this host could not run.

    ``skips`` are the reasons of skipped tests that this plugin skipped. Nothing is told where there is nothing to say.
    """
    for failure in figures.failures:
        yield f"hyperv: ERROR at the end of the run: {failure}"
    if figures.machines:
        yield f"hyperv: {'; '.join(figures.where)}: {', '.join(_made(figures))}"
    for told, count in Counter(figures.reopened).most_common():
        yield f"hyperv: WARNING: {_counted(count, 'time')}: {told}"
    yield from (f"hyperv: {line}" for line in figures.kept)
    counts = Counter(skips)
    if counts:
        yield f"hyperv: {_counted(counts.total(), 'test')} skipped, for this host cannot:"
        yield from (f"  {count:4} {reason}" for reason, count in counts.most_common())


def _made(figures: Figures) -> Iterator[str]:
    each = figures.waited / figures.machines
    yield f"{_counted(figures.machines, 'machine')} of {', '.join(figures.images)}"
    yield f"{figures.waited:.1f} s waited ({f'{each * 1000:.0f} ms' if each < 1 else took(each)} each)"
    yield f"{figures.spares_used} from a warm spare"
    if figures.states_built:
        yield f"{_counted(figures.states_built, 'state')} built"
    spared = saved(merged(StateUse(**use) for use in figures.states))
    if spared >= WORTH_TELLING:
        yield f"{took(spared)} saved by states"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _figures(config: pytest.Config) -> Figures:
    return config.stash.setdefault(FIGURES, Figures())
