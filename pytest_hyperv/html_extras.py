"""Evidence in the report of pytest-html, where that is in use."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv.story import Story


def add_extras(config: pytest.Config, report: pytest.TestReport, stories: list[Story], root: Path) -> None:
    """A link to every file, relative to the page, and the text that is read first."""
    page = getattr(config.option, "htmlpath", None)
    if not page or not config.pluginmanager.hasplugin("html"):
        return
    extras: Any = import_module("pytest_html.extras")
    found = [extras.text(story.text, name=story.machine) for story in stories if story.text]
    folder = Path(page).absolute().parent
    for exhibit in (exhibit for story in stories for exhibit in story.exhibits):
        try:
            link = Path(os.path.relpath(root / exhibit.path, folder)).as_posix()
        except ValueError:
            link = (root / exhibit.path).as_uri()
        found.append(extras.url(link, name=exhibit.path.rpartition("/")[2]))
    vars(report)["extras"] = [*getattr(report, "extras", []), *found]
