"""What the page tells of each test, gathered from pytest's reports as they come in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_hyperv.psrp.secret import secrets_in_use
from pytest_hyperv.redaction import Redactor, secret_values
from pytest_hyperv.report_page.plain import first_line, plain, shortened
from pytest_hyperv.story import ATTRIBUTE as STORIES
from pytest_hyperv.verdict import OUTCOME, SECTION

KIND, MACHINES = "hyperv_kind", "hyperv_machines"
"""Attributes of reports: assertion or exception; the machines of the test, each as a mapping."""
LONG = 20_000
"""Characters that are kept of what one test's failure, or its output, says."""
ALL = 12_000_000
"""Characters that are kept of what all of them say."""
_TOLD = re.compile(r"^\[(guest crash|time-out|infrastructure)\] ")
"""How a failure's message begins when its kind is told apart."""


class Entries:
    """The tests of a run, in the order in which they began. Memory is bounded by their number."""

    def __init__(self) -> None:
        self._tests: dict[str, dict[str, Any]] = {}
        self._room = ALL

    def add(self, report: Any) -> None:
        """Take in the report of one phase; a setup begins a test, once more where it is run again."""
        if report.when == "setup" or report.nodeid not in self._tests:
            self._tests.pop(report.nodeid, None)
            self._tests[report.nodeid] = _begun(report)
        test = self._tests[report.nodeid]
        if report.when in ("setup", "call", "teardown"):
            test["phases"].append([report.when, report.start, report.stop])
        if report.failed or test["outcome"] not in ("failed", "error"):
            self._judge(test, report)
        for name, attribute in (("machines", MACHINES), ("stories", STORIES)):
            if told := getattr(report, attribute, None):
                test[name] = list(told)

    def add_collection(self, report: Any) -> None:
        """Take in a file or class that could not be collected."""
        test = {"id": report.nodeid, "outcome": "error", "kind": "collection", "phases": [], "worker": ""}
        self._explain(test, report)
        self._tests[report.nodeid] = test

    def all(self) -> list[dict[str, Any]]:
        """Every test: ``id``, ``outcome``, ``worker``, ``phases``, and where there are: ``kind``, ``why``, ``text``,
        ``said``, ``machines``, ``stories``.

        ``outcome`` is passed, failed, error, skipped, xfailed or xpassed; ``phases`` holds name, beginning and end.
        """
        return list(self._tests.values())

    def _judge(self, test: dict[str, Any], report: Any) -> None:
        expected = hasattr(report, "wasxfail")
        if report.failed:
            test["outcome"] = "error" if report.when in ("setup", "teardown") else "failed"
            test["kind"] = _kind(report)
            self._explain(test, report)
        elif report.skipped:
            test["outcome"] = "xfailed" if expected else "skipped"
            reason = report.wasxfail if expected else _reason(report.longrepr)
            test["why"] = first_line(plain(reason), limit=1000)
        elif report.when == "call":
            test["outcome"] = "xpassed" if expected else "passed"

    def _explain(self, test: dict[str, Any], report: Any) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        text = _clean(report.longreprtext)
        test["why"] = first_line(_TOLD.sub("", _clean(crash.message)) if crash is not None else text)
        test["text"] = self._kept(text)
        told = [(name, content) for name, content in report.sections if content.strip() and name != SECTION]
        said = [[plain(name), self._kept(_clean(content))] for name, content in told]
        if said:
            test["said"] = said

    def _kept(self, text: str) -> str:
        kept = shortened(text, min(LONG, self._room)) if self._room > 0 else "[left out: the page is full]"
        self._room -= len(kept)
        return kept


def _clean(text: str) -> str:
    """Text of a test without this run's secrets, as it can be shown."""
    return plain(Redactor(secrets_in_use() | secret_values(os.environ)).text(text))


def _kind(report: Any) -> str:
    if report.when == "???":
        return "worker"
    outcome = str(dict(report.user_properties).get(OUTCOME, "assertion"))
    return str(getattr(report, KIND, "exception")) if outcome == "assertion" else outcome


def _begun(report: Any) -> dict[str, Any]:
    worker = getattr(report, "worker_id", "")
    return {"id": report.nodeid, "outcome": "unfinished", "worker": worker, "phases": []}


def _reason(longrepr: Any) -> str:
    return str(longrepr[2]).removeprefix("Skipped: ") if isinstance(longrepr, tuple) else str(longrepr)


def count(tests: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many tests ended how, in all under ``all``; what failed and what is in error together under ``bad``."""
    counted = {"all": 0, "bad": 0}
    for test in tests:
        counted["all"] += 1
        counted["bad"] += test["outcome"] in ("failed", "error")
        counted[test["outcome"]] = counted.get(test["outcome"], 0) + 1
    return counted
