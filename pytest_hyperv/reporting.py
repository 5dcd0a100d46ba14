"""The hooks of tests with machines: what this host cannot run is skipped, what goes wrong is told and shown.

Registered once a run turns out to have such tests, so that every other run is spared the calls.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_hyperv.errors import HostUnreachable, HypervError
from pytest_hyperv.returning import ending
from pytest_hyperv.stash import HOST_FAILED, LOANS, WISH, WRONG

AT_WORK = pytest.StashKey[pytest.Item | None]()
"""On the config: the test whose machines live, until its teardown is over."""
NO_FAILURE = (KeyboardInterrupt, pytest.exit.Exception, pytest.skip.Exception)
"""What ends a teardown without saying that the test is wrong."""
PACKAGE = f"{Path(__file__).parent}{os.sep}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or with ``--hyperv-strict`` fail, a test that this host cannot run, with every reason."""
    if LOANS in item.stash:
        del item.stash[LOANS]
    item.config.stash[AT_WORK] = item
    if WRONG in item.stash:
        raise item.stash[WRONG]
    if WISH in item.stash:
        from pytest_hyperv.lab import lab_of

        lab_of(item.config).gate(item.stash[WISH])


def pytest_enter_pdb(config: pytest.Config) -> None:
    """Tell how to enter the machines of the test that a debugger stops."""
    item = config.stash.get(AT_WORK, None)
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if item is not None and reporter is not None and LOANS in item.stash:
        from pytest_hyperv.keeping import open_to_people

        for line in open_to_people(item.stash[LOANS]):
            reporter.write_line(line)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Take the evidence of a teardown that fails; only then the machines that it gives back go."""
    try:
        with ending(item.session):
            try:
                yield
            except BaseException as error:
                if WISH in item.stash and not isinstance(error, NO_FAILURE):
                    from pytest_hyperv.verdict import take_in_teardown

                    take_in_teardown(item, error)
                raise
    finally:
        item.config.stash[AT_WORK] = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell what went wrong in the shortest way, and take the evidence while the machines live.

    A test that runs while its host fails is marked as one that proved nothing, and the host gets no more tests.
    """
    _leave_out_own_frames(item, call)
    report = yield
    _tell(item, call, report)
    if WISH in item.stash and (call.when == "call" or (call.when == "setup" and report.failed)):
        from pytest_hyperv.verdict import add_story

        add_story(item, call, report)
    elif WISH in item.stash and call.when == "teardown" and report.failed:
        from pytest_hyperv.verdict import add_story_of_teardown

        add_story_of_teardown(item, call, report)
    return report


def _leave_out_own_frames(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """End the traceback where the test called this package, but for ``--full-trace``."""
    root, last = f"{item.config.rootpath}{os.sep}", None
    frame = call.excinfo.tb if call.excinfo is not None and not item.config.getoption("fulltrace", False) else None
    while frame is not None:
        path = frame.tb_frame.f_code.co_filename
        if path.startswith(root) and not path.startswith(PACKAGE):
            last = frame
        frame = frame.tb_next
    called = last.tb_next if last is not None else None
    if last is not None and called is not None and called.tb_frame.f_code.co_filename.startswith(PACKAGE):
        last.tb_next = None


def _tell(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """A machine that could not be made takes one paragraph, and a test that cannot run here is told where it stands."""
    if call.excinfo is None:
        return
    if report.skipped:
        if isinstance(report.longrepr, tuple) and report.longrepr[0].startswith(PACKAGE):
            path, line = item.reportinfo()[:2]
            report.longrepr = (os.fspath(path), (line or 0) + 1, report.longrepr[2])
        return
    error = call.excinfo.value
    if call.when == "call" and isinstance(error, HostUnreachable):
        setattr(report, HOST_FAILED, True)
        for loan in item.stash.get(LOANS, ()):
            loan.host_failed(error)
    elif call.when != "call" and isinstance(error, HypervError):
        from pytest_hyperv.plain_text import plain

        report.longrepr = plain(f"{type(error).__name__}: {error}")


@pytest.hookimpl(wrapper=True)
def pytest_assertrepr_compare(
    op: str, left: object, right: object
) -> Generator[None, list[list[str] | None], list[list[str] | None]]:
    """A result of the guest that is compared explains itself; of its output it is said which command wrote it."""
    from pytest_hyperv.comparing import explained, origins

    others = yield
    own = explained(op, left, right)
    if own is not None:
        return [own, *others]
    for lines in filter(None, others):
        lines[1:1] = origins(left, right)
        break
    return others
