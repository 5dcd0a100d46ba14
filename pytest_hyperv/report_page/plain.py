"""What guests and tests said, as text that can be shown: nothing in it moves a cursor, hides or turns letters."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours and the cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC: titles, links and the like
    r"|\x1b[ -/]*[0-~]"
)
_WRITTEN = re.compile(r"\\x1b\[[0-?]*[ -/]*[@-~]|\\x1b[ -/]*[0-Z\\^-~]|\\x0d(?=\n)")
"""The same in the files of evidence, which have them spelled out."""
_ENDS = re.compile(r"\r+\n|\r")
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_CUT = "\n[... {} characters left out ...]\n"


def plain(text: str) -> str:
    """Without terminal sequences; control characters, and letters that hide or reorder others, by their number."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", _ENDS.sub("\n", _ESCAPES.sub("", text)))


def unspelled(text: str) -> str:
    """Text of a file of evidence without the terminal sequences that are spelled out in it."""
    return _WRITTEN.sub("", text)


def shortened(text: str, limit: int) -> str:
    """At most about ``limit`` characters: the first quarter and the end."""
    if len(text) <= limit:
        return text
    head = limit // 4
    return text[:head] + _CUT.format(len(text) - limit) + text[len(text) - limit + head :]


def first_line(text: str, limit: int = 240) -> str:
    """The first line that says something."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
