"""What can be told of the suite's benchmark without a machine: what it is asked for, and the suite it makes."""

from __future__ import annotations

import pytest

from benchmarks.suite import Plan, parser
from benchmarks.suite_tests import percentile, write_suite


def test_the_command_line_decides_how_much_is_run() -> None:
    plan = Plan.of(parser().parse_args(["--tests", "7", "--workers", "1", "3", "--rounds", "12"]))
    assert (plan.tests, plan.workers, plan.rounds) == (7, (1, 3), 12)
    assert Plan.of(parser().parse_args(["--quick"])).tests < Plan.of(parser().parse_args([])).tests == 100


def test_the_suite_has_as_many_tests_as_asked_for_on_three_states(pytester: pytest.Pytester) -> None:
    write_suite(pytester.path, 7)
    collected = pytester.runpytest("--collect-only", "-q").outlines
    tests = [line for line in collected if "::" in line]
    assert len(tests) == 7
    assert len({line.partition("::")[0] for line in tests}) == 3


def test_a_percentile_is_a_time_that_was_seen() -> None:
    times = [float(number) for number in range(100)]
    assert percentile(times, 0.95) == 95.0
    assert percentile([3.0], 0.95) == 3.0
