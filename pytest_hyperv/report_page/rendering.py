"""Data as one HTML file: style, program and data are in it, and its policy lets it load nothing else."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pytest_hyperv.errors import HypervError
from pytest_hyperv.report_page.headline import headline

FORMAT = 1
"""Of the data. A page of another one cannot be taken together with those of this one."""
PROGRAM = ("making.js", "tests.js", "timeline.js", "parts.js")
"""The page's program, in the order in which its parts need each other."""
_BEGIN, _END = '<script type="application/json" id="data">', "</script>"
_CANNOT_STAND = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"}


def render(runs: Sequence[Mapping[str, Any]]) -> str:
    """The page of one or several runs."""
    tests = [test for run in runs for test in run["tests"]]
    said, more = headline(tests, interrupted=any(run["interrupted"] for run in runs))
    style, program = _part("page.css"), "\n".join(map(_part, PROGRAM))
    data = json.dumps({"format": FORMAT, "headline": said, "more": more, "runs": list(runs)}, separators=(",", ":"))
    parts = {
        "STYLE_HASH": _hash(style),
        "PROGRAM_HASH": _hash(program),
        "TITLE": html.escape(f"{said} · {', '.join(run['title'] for run in runs)}"),
        "HEADLINE": html.escape(said),
        "MORE": html.escape(more),
        "STYLE": style,
        "PROGRAM": program,
        "DATA": f"{_BEGIN}{data.translate(_CANNOT_STAND)}{_END}",
    }
    pieces = _part("page.html").split("%%")
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def data_of(page: Path) -> list[dict[str, Any]]:
    """The runs on a page. Raises HypervError when the file is none, or one of another version."""
    wrong = HypervError(f"{page} is no page of a run", hint="name files that --hyperv-report wrote.")
    try:
        text = page.read_text("utf-8")
        data = json.loads(text.partition(_BEGIN)[2].partition(_END)[0])
        known = data["format"] == FORMAT
        runs = list(data["runs"])
    except (OSError, ValueError, KeyError, TypeError):
        raise wrong from None
    if not known:
        raise HypervError(f"{page} was written by another version of pytest-hyperv", hint="use that version for it.")
    return runs


def write(page: Path, text: str) -> None:
    """Put the page in its place whole, for this user's eyes only. Raises OSError."""
    page.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(prefix=".", suffix=".html", dir=page.parent)  # its mode is 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(unfinished).replace(page)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(unfinished).unlink()
        raise


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
