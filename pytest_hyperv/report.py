"""Watches a run for its page (``--hyperv-report``): in every process what it does, where reports come in all of it."""

from __future__ import annotations

import platform
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv.figures import Figures
from pytest_hyperv.report_page.accounts import accounts
from pytest_hyperv.report_page.entries import KIND, MACHINES, Entries
from pytest_hyperv.report_page.exhibits import Exhibits
from pytest_hyperv.report_page.plain import plain
from pytest_hyperv.report_page.rendering import render, write
from pytest_hyperv.stash import FIGURES, LOANS, SETTINGS, TIMELINE
from pytest_hyperv.states.uses import StateUse, chain, merged, saved
from pytest_hyperv.timeline import ATTRIBUTE, Timeline

SPANS_KEY = "hyperv_spans"
"""In an xdist worker's output: the spans that no report took along."""
SPANS = 60_000
"""How many spans of all workers a page holds; later ones are counted only."""


def begin(config: pytest.Config, page: Path) -> None:
    """Watch this process, and gather what all of them see where that is shown."""
    timeline = config.stash[TIMELINE] = Timeline()
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is None:
        config.pluginmanager.register(PageOfRun(config, timeline, page), "hyperv-page")
    config.pluginmanager.register(Witness(timeline, output), "hyperv-witness")


class Witness:
    """In a process that runs tests: has their reports take along what the page tells of their machines."""

    def __init__(self, timeline: Timeline, output: dict[str, Any] | None) -> None:
        self._timeline, self._output = timeline, output

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Say what the failure is; at the end of the test also which machines it had, and what was done for it."""
        report = yield
        if report.failed and call.excinfo is not None:
            own = isinstance(call.excinfo.value, AssertionError | pytest.fail.Exception)
            setattr(report, KIND, "assertion" if own else "exception")
        if report.when == "teardown":
            loans = item.stash.get(LOANS, [])
            machines = [
                {"name": loan.vm.name, "state": loan.state, "image": loan.vm.image.name, "backend": loan.vm.backend}
                for loan in loans
            ]
            setattr(report, MACHINES, machines)
            setattr(report, ATTRIBUTE, self._timeline.drain())
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Hand on what came after the last test."""
        if self._output is not None:
            self._output[SPANS_KEY] = self._timeline.drain()


class PageOfRun:
    """Where reports come in: gathers what the page tells, and writes it at the end, of an interrupted run too."""

    def __init__(self, config: pytest.Config, timeline: Timeline, page: Path) -> None:
        self._config, self._timeline, self._page = config, timeline, page
        self._began = time.time()
        self._entries = Entries()
        self._spans: list[dict[str, Any]] = []
        self._dropped = 0
        self._interrupted = False
        self._failure = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what happened to a test."""
        self._entries.add(report)
        self._take(getattr(report, ATTRIBUTE, ()), getattr(report, "worker_id", ""))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take in what could not be collected."""
        if report.failed:
            self._entries.add_collection(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take in what a worker did after its last test."""
        output = getattr(node, "workeroutput", None) or {}
        self._take(output.get(SPANS_KEY, ()), node.gateway.id)

    def pytest_keyboard_interrupt(self) -> None:
        """Say so on the page."""
        self._interrupted = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the page. One that cannot be written is told, and changes nothing else."""
        self._take(self._timeline.drain(), "")
        try:
            write(self._page, render([self._run()]))
        except OSError as error:
            self._failure = str(error.strerror or error)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Where the page is."""
        folder = self._config.invocation_params.dir
        told = self._page.relative_to(folder) if self._page.is_relative_to(folder) else self._page
        if self._failure:
            terminalreporter.write_line(f"hyperv: the page could not be written to {told}: {self._failure}")
        else:
            terminalreporter.write_line(f"hyperv: the page of this run is {told}")

    def _take(self, spans: Iterable[Mapping[str, Any]], worker: str) -> None:
        for span in spans:
            if len(self._spans) < SPANS:
                self._spans.append({**span, "worker": worker})
            else:
                self._dropped += 1

    def _run(self) -> dict[str, Any]:
        """All that is told of this run; moments are seconds since it began."""
        began, ended = self._began, time.time()
        figures = self._config.stash.get(FIGURES, None) or Figures()
        exhibits, tests = Exhibits(self._config.stash[SETTINGS].artifacts, self._page), self._entries.all()
        spent = accounts(tests, self._spans, began, ended)
        return {
            "title": self._config.rootpath.name,
            "began": began,
            "took": round(ended - began, 3),
            "interrupted": self._interrupted,
            "where": figures.where,
            "failures": figures.failures,
            "notes": sorted(set(figures.reopened)),
            "versions": {
                "pytest-hyperv": version("pytest-hyperv"),
                "pytest": pytest.__version__,
                "Python": platform.python_version(),
            },
            "accounts": spent,
            "dropped": self._dropped + self._timeline.dropped,
            "tests": [_test(test, began, exhibits) for test in tests],
            "spans": [_span(span, began) for span in self._spans],
            **_states(figures.states),
        }


def _test(test: Mapping[str, Any], began: float, exhibits: Exhibits) -> dict[str, Any]:
    """A test with its evidence; its phases by name, beginning and seconds."""
    phases = [[name, round(start - began, 3), round(stop - start, 3)] for name, start, stop in test["phases"]]
    told = {name: value for name, value in test.items() if value or name == "worker"}
    telling = [
        each for each in test.get("stories", ()) if any(each[name] for name in ("text", "crash", "enter", "exhibits"))
    ]
    return told | {"phases": phases, "stories": [_story(story, exhibits) for story in telling]}


def _story(story: Mapping[str, Any], exhibits: Exhibits) -> dict[str, Any]:
    told: dict[str, Any] = {name: plain(str(value)) for name, value in story.items() if name != "exhibits" and value}
    return told | {"exhibits": [exhibits.shown(each, str(story["crash"])) for each in story["exhibits"]]}


def _span(span: Mapping[str, Any], began: float) -> list[Any]:
    """Kind, beginning, seconds, worker, lane, machine, state, purpose."""
    took = span["ended"] - span["began"]
    rest = [span[name] for name in ("worker", "lane", "machine", "state", "purpose")]
    return [span["kind"], round(span["began"] - began, 3), round(took, 3), *rest]


def _states(told: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The states with what building each from nothing would take, and the seconds that all of them spared."""
    uses = merged(StateUse(**use) for use in told)
    states = [asdict(use) | {"whole": sum(step.took for step in chain(uses, use))} for use in uses.values()]
    return {"states": states, "saved": round(saved(uses), 1)}
