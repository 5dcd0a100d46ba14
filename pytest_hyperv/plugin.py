"""pytest's hooks and options, nothing else.

Every run loads this file, with machines or without. So what only such runs need is imported inside the hooks, when
the first test asks for a machine or an error has to be told.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from pytest_hyperv.fixtures import hyperv_host, hyperv_image, hyperv_vm, hyperv_vm_factory, psdirect
from pytest_hyperv.options import MARKERS, OPTIONS, PREFIX

__all__ = ["hyperv_host", "hyperv_image", "hyperv_vm", "hyperv_vm_factory", "psdirect"]


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
    """Markers in words."""
    for line in MARKERS.values():
        config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Settings; one that cannot be used ends the run here."""
    from pytest_hyperv.errors import SettingsError
    from pytest_hyperv.settings import resolve
    from pytest_hyperv.stash import SETTINGS

    config = session.config
    try:
        config.stash[SETTINGS] = resolve(config.getoption, os.environ, config.getini)
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from None
    page = config.stash[SETTINGS].report
    if page is not None:
        from pytest_hyperv import report

        report.begin(config, page)


def pytest_report_header(config: pytest.Config) -> str:
    """The settings that were given, each with its origin."""
    from pytest_hyperv.stash import SETTINGS

    return f"{PREFIX}: {', '.join(config.stash[SETTINGS].told()) or 'default settings'}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Read the markers of what was collected; a wrong one is a collection error that names the test."""
    from pytest_hyperv.wishes import asks_for_machine, read_wish

    report = yield
    asking = [node for node in report.result or () if isinstance(node, pytest.Item) and asks_for_machine(node)]
    if asking:
        from pytest_hyperv.errors import MarkerError

        wrong = []
        for item in asking:
            try:
                read_wish(item)
            except MarkerError as error:
                wrong.append(f"{item.nodeid}: {error}")
        if wrong:
            report.outcome, report.result = "failed", []
            report.longrepr = "\n\n".join(wrong)
    return report


@pytest.hookimpl(tryfirst=True, specname="pytest_collection_modifyitems")
def pytest_collection_modifyitems_in_groups(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of one kind of machine together, where that is asked for; hooks of others may still change the order."""
    from pytest_hyperv.stash import SETTINGS

    if config.stash[SETTINGS].group:
        from pytest_hyperv.grouping import arrange

        arrange(config, items)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Read again what has markers now: a conftest may have added some. A wrong one is told when its test is set up."""
    from pytest_hyperv.wishes import asks_for_machine, read_wish, report_machines

    asking = [item for item in items if asks_for_machine(item)]
    if asking:
        from pytest_hyperv.errors import MarkerError
        from pytest_hyperv.stash import WRONG

        report_machines(config)
        for item in asking:
            try:
                read_wish(item)
            except MarkerError as error:
                item.stash[WRONG] = error


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what is left of the machines, and hand the figures on."""
    from pytest_hyperv.stash import FIGURES, RUN

    if RUN in session.config.stash or FIGURES in session.config.stash:
        from pytest_hyperv import summary

        summary.finish(session)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """As many workers as machines fit, for a suite whose ini file or command line has a setting of this plugin.

    Other suites, and runs whose environment says a number for xdist, are left alone.
    """
    told = any(config.getoption(option.key) or config.getini(option.key) for option in OPTIONS)
    if not told or os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None
    from pytest_hyperv.workers import number_of_workers

    return number_of_workers(config.getoption, os.environ, config.getini)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker whether anybody watches; ``-p no:terminal`` it has of its own."""
    from pytest_hyperv.stash import WATCHED_KEY

    node.workerinput[WATCHED_KEY] = node.config.pluginmanager.hasplugin("terminalreporter")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over the figures of an xdist worker, or what is left of one that died."""
    from pytest_hyperv.stash import WORKER_KEY

    output = getattr(node, "workeroutput", None) or {}
    if WORKER_KEY in output:
        from pytest_hyperv import summary

        summary.take_over(node.config, output[WORKER_KEY])
    elif error:
        from pytest_hyperv import workers

        workers.reclaim_machines(node.config, node.gateway.id)


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """A test under which the infrastructure failed is an error: it did not fail."""
    return ("error", "E", "ERROR") if "hyperv_host_failed" in report.__dict__ else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What ran where, what could not be ended, and what this host could not run."""
    from pytest_hyperv.stash import FIGURES

    if FIGURES in config.stash:
        from pytest_hyperv import summary

        skips = summary.reasons(terminalreporter.stats.get("skipped", ()))
        for line in summary.lines(config.stash[FIGURES], skips):
            terminalreporter.write_line(line)
