"""``pytest-hyperv report``: several runs on one page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pytest_hyperv.cli import main
from pytest_hyperv.report_page.rendering import data_of, render, write
from tests.page.made_up import made_up


def report(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture
def pages(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "linux.html", tmp_path / "windows.html"]
    for page in found:
        write(page, render([made_up(6, title=page.stem)]))
    return found


def test_pages_become_one(pages: list[Path], tmp_path: Path) -> None:
    result = report(*pages, "-o", tmp_path / "all.html")
    assert result.exit_code == 0
    assert result.output.endswith("all.html: 12 tests of 2 runs\n")
    assert [run["title"] for run in data_of(tmp_path / "all.html")] == ["linux", "windows"]
    assert report(tmp_path / "all.html", pages[0], "-o", tmp_path / "more.html").exit_code == 0
    assert len(data_of(tmp_path / "more.html")) == 3


def test_the_data_can_be_had_for_machines(pages: list[Path]) -> None:
    assert [run["title"] for run in json.loads(report(*pages, "--json").output)] == ["linux", "windows"]


def test_what_cannot_be_done_is_said(pages: list[Path], tmp_path: Path) -> None:
    assert report(*pages).exit_code == 2
    assert report(*pages, "--json", "-o", "x").exit_code == 2
    (tmp_path / "other").write_text("")
    for arguments in ((tmp_path / "other", "--json"), (pages[0], "-o", tmp_path / "other" / "page.html")):
        result = report(*arguments)
        assert result.exit_code == 1
        assert "Hint: name " in result.output
