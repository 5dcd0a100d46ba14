"""Write-* and Out-*: what goes to which stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.hvsim.guest.cmdlets.command import Command, Context
from tests.hvsim.guest.operators import listed, text, truth
from tests.hvsim.guest.remote_values import Record

_WRITE_ERROR = "Microsoft.PowerShell.Commands.WriteErrorException"


def write_output(context: Context) -> Iterator[Any]:
    """The objects, lists taken apart."""
    for value in context.get("InputObject", []) or context.items():
        yield from [value] if context.get("NoEnumerate") or not isinstance(value, list) else value


def write_error(context: Context) -> Iterator[Any]:
    """An error that does not end the script, unless ErrorAction says so."""
    yield from ()
    context.error(
        text(context.get("Message")),
        text(context.get("ErrorId") or _WRITE_ERROR),
        text(context.get("Category") or "NotSpecified"),
        exception=_WRITE_ERROR,
        target=text(context.get("TargetObject")),
    )


def write_warning(context: Context) -> Iterator[Any]:
    """A warning."""
    yield from ()
    if text(context.get("WarningAction", "Continue")).casefold() not in ("silentlycontinue", "ignore"):
        context.shell.records.append(Record("Warning", text(context.get("Message"))))


def write_verbose(context: Context) -> Iterator[Any]:
    """A verbose message, where it is wanted."""
    yield from ()
    if truth(context.get("Verbose", context.shell.variables.get("verbosepreference") == "Continue")):
        context.shell.records.append(Record("Verbose", text(context.get("Message"))))


def write_debug(context: Context) -> Iterator[Any]:
    """A debug message, where it is wanted."""
    yield from ()
    if truth(context.get("Debug", context.shell.variables.get("debugpreference") == "Continue")):
        context.shell.records.append(Record("Debug", text(context.get("Message"))))


def write_information(context: Context) -> Iterator[Any]:
    """A record of the information stream."""
    yield from ()
    tags = tuple(text(tag) for tag in listed(context.get("Tags")))
    now = context.shell.system.utc_now()
    context.shell.records.append(Record("Information", context.get("MessageData"), "Write-Information", tags, now))


def write_host(context: Context) -> Iterator[Any]:
    """The same, with the tag of the console."""
    yield from ()
    said = text(context.get("Separator", " ")).join(text(value) for value in context.get("Object", []))
    now = context.shell.system.utc_now()
    context.shell.records.append(Record("Information", said, "Write-Host", ("PSHOST",), now))


def write_progress(context: Context) -> Iterator[Any]:
    """Progress does not leave the guest."""
    del context
    yield from ()


def out_null(context: Context) -> Iterator[Any]:
    """Nothing."""
    for _ in context.items():
        continue
    yield from ()


def out_string(context: Context) -> Iterator[Any]:
    """All that is piped in, as one text."""
    yield "".join(f"{text(value)}\r\n" for value in context.items())


_MESSAGE = ("Message",)
COMMANDS = {
    "Write-Output": Command(write_output, ("InputObject",), switches=("NoEnumerate",), many="InputObject"),
    "Write-Error": Command(write_error, _MESSAGE, ("ErrorId", "Category", "TargetObject")),
    "Write-Warning": Command(write_warning, _MESSAGE),
    "Write-Verbose": Command(write_verbose, _MESSAGE),
    "Write-Debug": Command(write_debug, _MESSAGE),
    "Write-Information": Command(write_information, ("MessageData", "Tags")),
    "Write-Host": Command(
        write_host, ("Object",), ("Separator", "ForegroundColor", "BackgroundColor"), ("NoNewline",), many="Object"
    ),
    "Write-Progress": Command(
        write_progress, ("Activity", "Status", "Id"), ("PercentComplete", "CurrentOperation"), ("Completed",)
    ),
    "Out-Null": Command(out_null, ("InputObject",)),
    "Out-String": Command(out_string, named=("Width",), switches=("Stream",)),
}
