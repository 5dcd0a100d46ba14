"""One browser for all tests of the page."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv.report_page.rendering import render, write
from tests.page.browser import Browser, browser, missing

Show = Callable[..., Browser]
READY = "document.documentElement.dataset.ready"


@pytest.fixture(scope="session")
def opened() -> Generator[Browser]:
    """A browser; the tests are skipped where there is none."""
    if why := missing():
        pytest.skip(why)
    with browser() as found:
        yield found


@pytest.fixture
def show(opened: Browser, tmp_path: Path) -> Show:
    """``show(run, fragment="")``: its page, on a screen of 1200 by 900, light; with nothing logged yet."""

    def show_page(*runs: Mapping[str, Any], fragment: str = "") -> Browser:
        opened.run("location.href = 'about:blank'")
        opened.prefer(color_scheme="light", reduced_motion="reduce")
        opened.screen(1200, 900)
        for kind in ("browser", "performance"):
            opened.log(kind)
        page = tmp_path / "report.html"
        write(page, render(runs))
        opened.open(page, fragment)
        opened.until(READY)
        return opened

    return show_page
