"""The package's own scripts for run-script.ps1, played: programs, facts of a path, folders, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.guest_address import WINDOWS as TAKE_ADDRESS
from pytest_hyperv.guest_events import WINDOWS_EVENTS
from pytest_hyperv.guest_ports import WINDOWS as CONNECT
from tests.hvsim.engine.values import Int64, custom_object
from tests.hvsim.guest import event_scripts, network_scripts
from tests.hvsim.guest.files import GuestFileError, absolute
from tests.hvsim.guest.program_script import run_program
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.shell_state import GuestShell, Terminating

Answer = Callable[[GuestShell, dict[str, Any]], Iterator[object]]
"""Plays a script: the values of its param block are given by their names as written there."""


def stat_path(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """Nothing, or Kind, Length and ReadOnly of what is at Path."""
    with shell.system.open() as guest:
        found = guest.files.stat(absolute(values["Path"], shell.folder))
    if found is not None:
        yield custom_object({"Kind": found.kind, "Length": Int64(found.size), "ReadOnly": False})


def make_folder(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """A folder with those above it."""
    yield from ()
    try:
        with shell.system.open() as guest:
            guest.files.make_folder(absolute(values["Path"], shell.folder))
    except GuestFileError as error:
        raise Terminating(file_failed("CreateDirectory", 1, error)) from error


def set_clock(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """The clock's time after it was set."""
    when: datetime = values["UtcNow"]
    shell.system.set_clock(when if when.tzinfo is not None else when.replace(tzinfo=UTC))
    yield shell.system.utc_now()


def remove_file(shell: GuestShell, values: dict[str, Any]) -> Iterator[object]:
    """A file less; quiet when it is not there."""
    yield from ()
    path = absolute(values["Path"], shell.folder)
    try:
        with shell.system.open() as guest:
            if guest.files.exists(path):
                guest.files.remove(path)
    except GuestFileError as error:
        raise Terminating(file_failed("Delete", 1, error)) from error


def file_failed(method: str, arguments: int, error: GuestFileError) -> ErrorRecord:
    """A System.IO method that failed, as PowerShell wraps its exception."""
    return ErrorRecord(
        f'Exception calling "{method}" with "{arguments}" argument(s): "{error.message}"',
        error.exception.rpartition(".")[2],
        exception="System.Management.Automation.MethodInvocationException",
    )


PACKAGE_SCRIPTS: dict[str, Answer] = {
    text("run-program"): run_program,
    text("stat-path"): stat_path,
    text("make-folder"): make_folder,
    text("set-clock"): set_clock,
    text("remove-file"): remove_file,
    WINDOWS_EVENTS: event_scripts.events,
    CONNECT: network_scripts.connect,
    TAKE_ADDRESS: network_scripts.take_address,
}
"""Who plays which script, by its text."""
