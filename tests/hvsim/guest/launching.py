"""Finding the program that a name means, and starting it."""

from __future__ import annotations

import ntpath
from collections.abc import Callable

from tests.hvsim.guest.events import Running, Start
from tests.hvsim.guest.files import MESSAGES, NOT_A_FOLDER, absolute
from tests.hvsim.guest.identity import variable

Launch = Callable[[Start], Running]

BATCH = (".cmd", ".bat")
NO_APPLICATION = "The specified executable is not a valid application for this OS platform."


class NotStarted(Exception):
    """CreateProcess refused: `text` is what Windows says."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def find(start: Start) -> str:
    """The full path of the program that ``start.name`` means. Raises NotStarted."""
    with start.system.open() as guest:
        if not guest.files.is_folder(start.folder):
            raise NotStarted(MESSAGES[NOT_A_FOLDER].rstrip("."))
        for folder in _folders(start):
            for ending in _endings(start):
                path = absolute(start.name + ending, folder)
                found = guest.files.followed(path)
                if guest.files.kind(found) == "file":
                    return found
    raise NotStarted("The system cannot find the file specified")


def _folders(start: Start) -> list[str]:
    if ntpath.dirname(start.name.replace("/", "\\")):
        return [start.folder]
    path = variable(start.environment, "Path") or ""
    return [start.folder, *(folder for folder in path.split(";") if folder)]


def _endings(start: Start) -> tuple[str, ...]:
    if ntpath.splitext(start.name)[1].casefold() in (".exe", ".com", *BATCH):
        return ("",)
    return (".exe", *BATCH) if start.by_shell else (".exe", "")
