"""Evidence on the page: pictures and text are taken in as far as there is room; the rest is linked where it lies."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_hyperv.report_page.plain import plain, unspelled

TEXTS = {"facts", "transcript", "console", "journal", "crash"}
FROM_END = {"transcript", "console", "journal"}
TEXT = 128 * 1024
"""Bytes of one text that are taken in: the last ones where the end tells most."""
PICTURE = 2 * 1024 * 1024
"""Bytes of the largest picture that is taken in."""
PAGE = 24 * 1024 * 1024
"""Bytes of all evidence that is taken in."""
PNG = b"\x89PNG\r\n\x1a\n"
_CRASH = re.compile(
    r"Kernel panic - not syncing|\bBUG: |\bOops: |general protection fault|Unable to handle kernel|"
    r"\*\*\* STOP: |bugcheck|triple fault|end Kernel panic",
    re.IGNORECASE,
)
MARKS = 40
"""How many lines of a text are marked at most."""


class Exhibits:
    """Files below ``artifacts``, as the page beside or elsewhere shows them."""

    def __init__(self, artifacts: Path | None, page: Path) -> None:
        self._artifacts, self._page = artifacts, page
        self._room = PAGE

    def shown(self, exhibit: Mapping[str, Any], crash: str) -> dict[str, Any]:
        """``kind``, ``name``, ``note``, where the file is there ``link``, and its content as ``picture`` or ``text``.

        ``marks`` are the numbers of the text's lines, from 0, that tell of the crash; ``before`` counts the bytes that
        were left out before the text.
        """
        told = {"kind": str(exhibit["kind"]), "name": plain(str(exhibit["path"])), "note": plain(str(exhibit["note"]))}
        path = self._within(str(exhibit["path"]))
        if path is None:
            return told
        told["link"] = self._link(path)
        if told["kind"] == "screenshot":
            return told | self._picture(path)
        return told | self._text(path, crash, told["kind"]) if told["kind"] in TEXTS else told

    def _within(self, relative: str) -> Path | None:
        """The file, unless it is none or lies elsewhere by a link or by its name."""
        if self._artifacts is None:
            return None
        try:
            path = (self._artifacts / relative).resolve(strict=True)
        except (OSError, ValueError):
            return None
        return path if path.is_file() and path.is_relative_to(self._artifacts.resolve()) else None

    def _link(self, path: Path) -> str:
        try:
            return Path(os.path.relpath(path, self._page.parent)).as_posix()
        except ValueError:  # another drive of Windows
            return ""

    def _picture(self, path: Path) -> dict[str, Any]:
        size = path.stat().st_size
        if size > min(PICTURE, self._room):
            return {}
        content = path.read_bytes()
        if not content.startswith(PNG):
            return {}
        self._room -= size
        return {"picture": base64.b64encode(content).decode()}

    def _text(self, path: Path, crash: str, kind: str) -> dict[str, Any]:
        size, limit = path.stat().st_size, min(TEXT, self._room)
        if limit < 1024:
            return {}
        from_end = kind in FROM_END and size > limit
        with path.open("rb") as file:
            file.seek(size - limit if from_end else 0)
            content = file.read(limit)
        self._room -= len(content)
        text = unspelled(plain(content.decode("utf-8", "replace")))
        told: dict[str, Any] = {"text": text, "marks": marks(text, crash) if kind in ("console", "journal") else []}
        if size > limit:
            told["before" if from_end else "after"] = size - limit
        return told


def marks(text: str, crash: str) -> list[int]:
    """The lines of a text, counted from 0, that tell of a crash."""
    lines = list(enumerate(text.split("\n")))
    telling = [number for number, line in lines if _CRASH.search(line)]
    known = next((line.strip() for line in crash.splitlines() if len(line.strip()) > 8), "")
    return (telling or [number for number, line in lines if known and known in line])[:MARKS]
