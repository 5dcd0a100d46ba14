"""Scripted answers: who plays a script that is known by its text. All others are read as PowerShell."""

from __future__ import annotations

from tests.hvsim.engine.scripts import plain
from tests.hvsim.guest.package_scripts import PACKAGE_SCRIPTS, Answer

ANSWERS: dict[str, Answer] = {plain(text): answer for text, answer in PACKAGE_SCRIPTS.items()}
"""By text with plain line ends and nothing around it. A test may add its own."""


def answer_for(text: str) -> Answer | None:
    """Who plays the script; None when it is to be read."""
    return ANSWERS.get(plain(text))
