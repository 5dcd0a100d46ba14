"""The guest's event logs: the package's script about them played, and ``eventcreate``.

Entries are kept on the guest's disk, as Windows keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.hvsim.engine.values import custom_object
from tests.hvsim.guest.command_line import split_arguments
from tests.hvsim.guest.events import STDERR, STDOUT, Running, Start, text
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.shell_state import GuestShell, Terminating
from tests.hvsim.guest.system import Opened

STORE = r"C:\Windows\System32\winevt\SIMULATED"
"""The file that holds the entries, as JSON: when, log, source, level and text of each."""
LEVELS = {"error": 2, "warning": 3, "information": 4, "success": 4}


def _entries(guest: Opened) -> list[dict[str, Any]]:
    return list(json.loads(guest.files.read(STORE))) if guest.files.exists(STORE) else []


def eventcreate(start: Start) -> Running:
    """``/t LEVEL /id N /l LOG /so SOURCE /d TEXT``."""
    words = split_arguments(start.arguments)
    options = {word.casefold(): value for word, value in zip(words, [*words[1:], ""], strict=True)}
    if options.get("/t", "").casefold() not in LEVELS or not options.get("/id", "").isdigit() or "/d" not in options:
        yield from text(STDERR, 'ERROR: Invalid syntax. Type "EVENTCREATE /?" for usage.')
        return 1
    source, log = options.get("/so", "EventCreate"), options.get("/l", "Application")
    with start.system.open() as guest:
        entry = {"time": guest.now, "log": log, "source": source, "level": LEVELS[options["/t"].casefold()]}
        guest.files.make_folder(STORE.rpartition("\\")[0])
        guest.files.write(STORE, json.dumps([*_entries(guest), {**entry, "text": options["/d"]}]).encode())
    yield from text(STDOUT, f"SUCCESS: An event of type '{options['/t']}' was created in the '{log}' log.")
    return 0


def events(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """The newest entries of some logs, the newest first; none at all is an error, as Get-WinEvent has it."""
    logs = [str(log).casefold() for log in values["Logs"]]
    with shell.system.open() as guest:
        found = [each for each in _entries(guest) if each["log"].casefold() in logs and each["time"] >= values["Since"]]
    if not found:
        raise Terminating(
            ErrorRecord(
                "No events were found that match the specified selection criteria.",
                "NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand",
                "ObjectNotFound",
            )
        )
    for entry in found[: -int(values["Most"]) - 1 : -1]:
        told = str(entry["text"])[: int(values["Longest"])]
        yield custom_object({"Time": entry["time"], "Source": entry["source"], "Level": entry["level"], "Text": told})
