"""What the report of a test says about its machines: stories, properties for JUnit, a section for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv import evidence
from pytest_hyperv.artifacts import Artifacts
from pytest_hyperv.errors import HypervError
from pytest_hyperv.evidence import Case
from pytest_hyperv.html_extras import add_extras
from pytest_hyperv.outcomes import TOLD, outcome_of
from pytest_hyperv.plain_text import one_line
from pytest_hyperv.stash import HOST_FAILED, LOANS, SETTINGS, WISH
from pytest_hyperv.story import ATTRIBUTE, Story

SECTION = "hyperv evidence"
OUTCOME = "hyperv_outcome"
PROPERTIES = (OUTCOME, "hyperv_machine", "hyperv_state", "hyperv_evidence")
ARTIFACTS = pytest.StashKey[Artifacts]()
"""On the config: the folders of evidence that this process has made."""


def add_story(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Put on ``report`` why its test failed and what is known of its machines, with evidence when that is wanted."""
    config, loans = item.config, item.stash.get(LOANS, [])
    outcome, error = "", ""
    if report.failed:
        raised = call.excinfo.value if call.excinfo is not None else None
        outcome = outcome_of(raised, untold_crash=any(map(evidence.untold_crash, loans)))
        error = one_line(f"{type(raised).__name__}: {raised}", 2000) if raised is not None else ""
        _mark(report, outcome)
        if outcome == "infrastructure" and report.when == "call":
            setattr(report, HOST_FAILED, True)
    stories = [evidence.told_by(loan, outcome) for loan in loans]
    wanted = config.stash[SETTINGS].evidence
    if loans and (wanted == "always" or (wanted == "failed" and report.failed)) and not report.skipped:
        paths, dump = item.stash[WISH].evidence, config.stash[SETTINGS].dump
        case = Case(item.nodeid, report.when or "", outcome, error, paths, dump)
        stories = evidence.take(loans, case, _artifacts(config))
    root = config.stash[SETTINGS].artifacts
    _add_properties(item, report, _properties(stories, outcome, root))
    setattr(report, ATTRIBUTE, [story.to_data() for story in stories])
    text = "\n\n".join(_shown(story, root) for story in stories if story.text or story.exhibits or story.enter)
    if text:
        report.sections.append((SECTION, text))
        add_extras(config, report, stories, root)


def _artifacts(config: pytest.Config) -> Artifacts:
    return config.stash.setdefault(ARTIFACTS, Artifacts(config.stash[SETTINGS].artifacts))


def _mark(report: pytest.TestReport, outcome: str) -> None:
    """Begin the line of the summary, and the message in JUnit, with what it was when it was not the test itself."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if outcome in TOLD and crash is not None:
        crash.message = f"[{TOLD[outcome]}] {crash.message.removeprefix(f'{HypervError.__module__}.')}"


def _properties(stories: list[Story], outcome: str, root: Path) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [(OUTCOME, outcome)] if outcome else []
    for story in stories:
        found.append(("hyperv_machine", story.machine))
        if story.state:
            found.append(("hyperv_state", story.state))
        if story.exhibits:
            found.append(("hyperv_evidence", str(folder_of(story, root))))
    return found


def _add_properties(item: pytest.Item, report: pytest.TestReport, properties: list[tuple[str, Any]]) -> None:
    """On the item too: JUnit reads them from the report of its teardown."""
    for held in (item.user_properties, report.user_properties):
        held[:] = [*(each for each in held if each[0] not in PROPERTIES), *properties]


def folder_of(story: Story, root: Path) -> Path:
    """Where the evidence of a machine lies."""
    return root.joinpath(*story.exhibits[0].path.split("/")).parent


def _shown(story: Story, root: Path) -> str:
    made = f"{story.backend} machine of {story.image}{f', state {story.state}' if story.state else ''}"
    lines = [f"{story.machine} ({made})", story.text]
    if story.exhibits:
        names = ", ".join(exhibit.path.rpartition("/")[2] for exhibit in story.exhibits)
        lines.append(f"evidence: {evidence.shown(folder_of(story, root))} ({names})")
    if story.enter:
        lines.append(f"to enter it: {story.enter}")
    return "\n".join(line for line in lines if line)
