"""The marker that says what a test shows, and a table of all of that at the end of the run."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

from tests.conformance.features import FEATURES, PROPERTY

PATIENCE = 1800
"""Seconds for one test: in the first one of a kind a machine boots, and a first boot of Windows takes its time."""
NETWORK = "CONFORMANCE_NETWORK"
"""The variable with the network of machines whose test names none: for guests that are reached through one."""
OUTCOMES = ("passed", "skipped", "failed", "error")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "feature(*numbers): the things of tests/conformance/features.py that it shows")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the features of each test on its reports, which travel from the workers of a run to its end.

    Its machine gets the network of the whole run.
    """
    for item in items:
        numbers = [number for mark in item.iter_markers("feature") for number in mark.args]
        item.user_properties.extend((PROPERTY, number) for number in sorted(set(numbers)))
        if numbers and config.pluginmanager.hasplugin("timeout"):
            item.add_marker(pytest.mark.timeout(PATIENCE))
        named = any("network" in mark.kwargs for mark in item.iter_markers("hyperv"))
        if numbers and not named and os.environ.get(NETWORK):
            item.add_marker(pytest.mark.hyperv(network=os.environ[NETWORK]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was shown, feature by feature, and why something was not."""
    counts: defaultdict[int, list[str]] = defaultdict(list)
    reasons: defaultdict[int, set[str]] = defaultdict(set)
    for outcome in OUTCOMES:
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name != PROPERTY:
                    continue
                counts[value].append(outcome)
                if outcome == "skipped" and isinstance(report.longrepr, tuple):
                    reasons[value].add(report.longrepr[2].removeprefix("Skipped: "))
    if not counts:
        return
    terminalreporter.section("conformance")
    for number in sorted(counts):
        told = ", ".join(
            f"{counts[number].count(outcome)} {outcome}" for outcome in OUTCOMES if outcome in counts[number]
        )
        terminalreporter.write_line(f"{number:2}. {FEATURES[number]}: {told}")
        for reason in sorted(reasons[number]):
            terminalreporter.write_line(f"      {reason}")
