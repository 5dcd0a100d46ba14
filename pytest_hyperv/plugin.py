"""pytest's hooks and options, nothing else. What needs a machine is imported when the first test asks for one."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from pytest_hyperv import summary
from pytest_hyperv.errors import HypervError, MarkerError
from pytest_hyperv.fixtures import hyperv_host, hyperv_image, hyperv_vm, hyperv_vm_factory, psdirect
from pytest_hyperv.markers import MARKERS, marks_of, wish_of
from pytest_hyperv.settings import OPTIONS, PREFIX, resolve
from pytest_hyperv.stash import SETTINGS, WISH

__all__ = ["hyperv_host", "hyperv_image", "hyperv_vm", "hyperv_vm_factory", "psdirect"]

FIXTURES = frozenset({"hyperv_vm", "hyperv_vm_factory", "psdirect"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Every setting as ``--hyperv-NAME`` and as the ini line ``hyperv_NAME``."""
    group = parser.getgroup(PREFIX, "virtual machines (pytest-hyperv)")
    for option in OPTIONS:
        described = f"{option.help}; default: {option.default or 'chosen for this user'}"
        if option.flag:
            group.addoption(option.flag_name, dest=option.key, action="store_const", const="true", help=described)
        else:
            group.addoption(option.flag_name, dest=option.key, metavar=option.metavar, help=described)
        parser.addini(option.key, described, default="")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """The hooks that this plugin calls."""
    from pytest_hyperv import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Markers and settings; a setting that cannot be used ends the run here."""
    for line in MARKERS.values():
        config.addinivalue_line("markers", line)
    try:
        config.stash[SETTINGS] = resolve(config.getoption, os.environ, config.getini)
    except HypervError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> str:
    """The settings that were given, each with its origin."""
    return f"{PREFIX}: {', '.join(config.stash[SETTINGS].told()) or 'default settings'}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Read the markers of what was collected; a wrong one is a collection error that names the test."""
    report = yield
    wrong = [
        f"{item.nodeid}: {error}"
        for item in report.result or ()
        if isinstance(item, pytest.Item) and (error := _read_markers(item)) is not None
    ]
    if wrong:
        report.outcome, report.result = "failed", []
        report.longrepr = "\n\n".join(wrong)
    return report


def _read_markers(item: pytest.Item) -> MarkerError | None:
    marked = any(mark.name in MARKERS for mark in item.iter_markers())
    if not marked and FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
        return None
    try:
        item.stash[WISH] = wish_of(marks_of(item), item.config.stash[SETTINGS])
    except MarkerError as error:
        return error
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or with ``--hyperv-strict`` fail, a test that this host cannot run, with every reason."""
    if WISH in item.stash:
        from pytest_hyperv.lab import lab_of

        lab_of(item.config).gate(item.stash[WISH])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A machine that could not be made is told in one paragraph, a test that cannot run here where it stands."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if call.when != "call" and isinstance(error, HypervError):
        report.longrepr = f"{type(error).__name__}: {error}"
    elif report.skipped and WISH in item.stash and isinstance(report.longrepr, tuple):
        path, line, _ = item.location
        report.longrepr = (path, (line or 0) + 1, report.longrepr[2])
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what is left of the machines, and hand the figures on."""
    summary.finish(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the figures of an xdist worker."""
    summary.take_over(node.config, getattr(node, "workeroutput", None) or {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What ran where."""
    for line in summary.lines(config):
        terminalreporter.write_line(line)
