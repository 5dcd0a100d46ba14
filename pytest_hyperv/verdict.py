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
from pytest_hyperv.keeping import choose
from pytest_hyperv.outcomes import TOLD, outcome_of
from pytest_hyperv.plain_text import one_line
from pytest_hyperv.stash import HOST_FAILED, LOANS, SETTINGS, WISH
from pytest_hyperv.story import ATTRIBUTE, Story

SECTION = "hyperv evidence"
OUTCOME = "hyperv_outcome"
PROPERTIES = (OUTCOME, "hyperv_machine", "hyperv_state", "hyperv_evidence")
ARTIFACTS = pytest.StashKey[Artifacts]()
"""On the config: the folders of evidence that this process has made."""
TOLD_ALREADY = pytest.StashKey[bool]()
"""On an item: whether its setup or call has failed, so that its story is told."""
OF_TEARDOWN = pytest.StashKey[tuple[str, list[Story]]]()
"""On an item whose teardown has failed: its outcome, and the stories of its machines."""


def add_story(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Put on ``report`` why its test failed and what is known of its machines, with evidence when that is wanted.

    Machines that are to be kept are chosen here too: the stories tell the way into them.
    """
    choose(item, report.outcome)
    item.stash[TOLD_ALREADY] = report.failed
    outcome, error = "", ""
    if report.failed:
        raised = call.excinfo.value if call.excinfo is not None else None
        outcome, error = _judged(item, raised)
        if outcome == "infrastructure" and report.when == "call":
            setattr(report, HOST_FAILED, True)
    wanted = item.config.stash[SETTINGS].evidence
    take = (wanted == "always" or (wanted == "failed" and report.failed)) and not report.skipped
    _tell(item, report, outcome, _stories(item, report.when or "", outcome, error, take=take))


def take_in_teardown(item: pytest.Item, error: BaseException) -> None:
    """Take the evidence of a teardown that failed, and choose which machines are kept, while they live.

    Not of one whose test had failed already: that has been told.
    """
    if item.stash.get(TOLD_ALREADY, False):
        return
    choose(item, "failed")
    outcome, text = _judged(item, error)
    take = item.config.stash[SETTINGS].evidence != "never"
    item.stash[OF_TEARDOWN] = (outcome, _stories(item, "teardown", outcome, text, take=take))


def add_story_of_teardown(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Put on ``report`` what was found while the teardown failed, or that what ended the machines did."""
    if item.stash.get(TOLD_ALREADY, False):
        return
    if OF_TEARDOWN in item.stash:
        outcome, stories = item.stash[OF_TEARDOWN]
        del item.stash[OF_TEARDOWN]
    else:
        outcome, error = _judged(item, call.excinfo.value if call.excinfo is not None else None)
        stories = _stories(item, "teardown", outcome, error, take=False)
    _tell(item, report, outcome, stories)


def _judged(item: pytest.Item, raised: BaseException | None) -> tuple[str, str]:
    """Why the test failed in one word, and in the words of the error."""
    loans = item.stash.get(LOANS, [])
    outcome = outcome_of(raised, untold_crash=any(map(evidence.untold_crash, loans)))
    return outcome, one_line(f"{type(raised).__name__}: {raised}", 2000) if raised is not None else ""


def _stories(item: pytest.Item, phase: str, outcome: str, error: str, *, take: bool) -> list[Story]:
    loans, settings = item.stash.get(LOANS, []), item.config.stash[SETTINGS]
    if not (take and loans):
        return [evidence.told_by(loan, outcome) for loan in loans]
    case = Case(item.nodeid, phase, outcome, error, item.stash[WISH].evidence, settings.dump)
    return evidence.take(loans, case, _artifacts(item.config))


def _tell(item: pytest.Item, report: pytest.TestReport, outcome: str, stories: list[Story]) -> None:
    root = item.config.stash[SETTINGS].artifacts
    if report.failed:
        _mark(report, outcome)
    _add_properties(item, report, _properties(stories, outcome, root))
    setattr(report, ATTRIBUTE, [story.to_data() for story in stories])
    text = "\n\n".join(_shown(story, root) for story in stories if story.text or story.exhibits or story.enter)
    if text:
        report.sections.append((SECTION, text))
        add_extras(item.config, report, stories, root)


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
