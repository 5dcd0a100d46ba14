"""Text of guests as a terminal, a log or an XML file can hold it: nothing in it commands a terminal."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
"""Control characters but tab and line feed, those that turn the direction of writing, line separators, surrogates."""


def plain(text: str) -> str:
    """``text`` with every character that commands a terminal or hides others written as its escape, ``\\x1b``."""
    return _UNPRINTABLE.sub(_escaped, text.replace("\r\n", "\n"))


def one_line(text: str, limit: int) -> str:
    """``text`` in one plain line of at most ``limit`` characters, its middle left out when it is longer."""
    line = plain(text.strip()).replace("\n", "\\n").replace("\t", " ")
    if len(line) <= limit:
        return line
    head = (limit - 3) * 2 // 3
    return f"{line[:head]}...{line[len(line) - (limit - 3 - head) :]}"


def last_lines(text: str, lines: int, limit: int) -> list[str]:
    """The last lines of ``text`` that are not blank, each plain and at most ``limit`` characters long."""
    told = [line for line in plain(text).splitlines() if line.strip()]
    return [one_line(line, limit) for line in told[-lines:]]


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
