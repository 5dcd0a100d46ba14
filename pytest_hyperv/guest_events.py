"""What a guest's own system wrote down: the journal of Linux, the event logs of Windows."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pytest_hyperv.errors import CommandFailed
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.psrp.calls import Runnable, Script
from pytest_hyperv.psrp.result import PowerShellResult

Level = Literal["critical", "error", "warning", "information", "debug"]

MOST = 1000
"""Entries of one answer; older ones are left out."""
LONGEST = 4096
"""Characters of one entry's text; journalctl leaves out the text of an entry with more bytes by itself."""
OUTPUT = 32 * 1024 * 1024
"""Bytes that `MOST` entries of `LONGEST` unprintable bytes fit in, each written as a number."""
LEFT_OUT = f"(more than {LONGEST} bytes: see `journalctl --all` in the guest)"

PRIORITIES: dict[str, Level] = {
    **dict.fromkeys("012", "critical"),
    "3": "error",
    "4": "warning",
    **dict.fromkeys("56", "information"),
    "7": "debug",
}
"""syslog(3)'s priorities."""
LEVELS: dict[int, Level] = {1: "critical", 2: "error", 3: "warning", 4: "information", 5: "debug"}
"""Windows' StandardEventLevel; 0 (LogAlways) is information too."""
LOGS = ("System", "Application")
NONE_FOUND = "NoMatchingEventsFound"
WINDOWS_EVENTS = """
param([string[]] $Logs, [double] $Since, [int] $Most, [int] $Longest)
# Values of the filter are made here: an array that came through a session is an ArrayList, which Get-WinEvent takes
# for one text (PowerShell issue 13108).
$epoch = New-Object DateTime 1970, 1, 1, 0, 0, 0, ([DateTimeKind]::Utc)
$filter = @{ LogName = $Logs; StartTime = $epoch.AddSeconds($Since) }
Get-WinEvent -FilterHashtable $filter -MaxEvents $Most | ForEach-Object {
    $text = [string] $_.Message
    if ($text.Length -gt $Longest) { $text = $text.Substring(0, $Longest) }
    [pscustomobject] @{
        Time = ($_.TimeCreated.ToUniversalTime() - $epoch).TotalSeconds
        Source = [string] $_.ProviderName; Level = [int] $_.Level; Text = $text
    }
}
"""
"""Not yet run on a real Windows guest. Emits the newest entries first."""


@dataclass(frozen=True)
class GuestEvent:
    """One entry. ``time`` is in seconds since 1970, by the guest's clock; ``source`` is the program that wrote it."""

    time: float
    source: str
    level: Level
    text: str


class _RunsPowerShell(Protocol):
    def __call__(self, what: Runnable, /, *, timeout: float) -> PowerShellResult: ...


def journal_since(session: GuestSession, since: float, *, timeout: float) -> list[GuestEvent]:
    """The newest `MOST` entries of a Linux guest's journal from ``since`` on, oldest first.

    Raises CommandFailed in a guest without systemd's journal, CommandTimeout, SessionLost, GuestCrashed.
    """
    fields = "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_COMM"
    newest = (f"--since=@{since:.6f}", f"--lines={MOST}")
    argv = ["journalctl", "--quiet", "--no-pager", "--output=json", fields, *newest]
    told = session.run(argv, env={"LC_ALL": "C.UTF-8"}, timeout=timeout, output_limit=OUTPUT).check()
    return list(_entries(told.stdout))


def _entries(lines: str) -> Iterator[GuestEvent]:
    for line in lines.split("\n"):
        try:
            entry = json.loads(line)
            seconds = int(entry["__REALTIME_TIMESTAMP"]) / 1_000_000
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
        source = _text(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or "")
        level = PRIORITIES.get(str(entry.get("PRIORITY")), "information")
        text = LEFT_OUT if entry.get("MESSAGE", "") is None else _text(entry.get("MESSAGE", ""))
        yield GuestEvent(seconds, source, level, text)


def _text(value: object) -> str:
    """A field: text, the numbers of its bytes where those are not printable, or a list of these where it has several.

    Source: systemd's JOURNAL_EXPORT_FORMATS, "Journal JSON Format".
    """
    if isinstance(value, list) and value and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value).decode("utf-8", "replace")[:LONGEST]
    if isinstance(value, list):
        return "\n".join(each[:LONGEST] for each in value if isinstance(each, str))[:LONGEST]
    return value[:LONGEST] if isinstance(value, str) else ""


def event_logs_since(run: _RunsPowerShell, since: float, *, timeout: float) -> list[GuestEvent]:
    """The newest `MOST` entries of a Windows guest's System and Application logs from ``since`` on, oldest first.

    Raises CommandFailed, CommandTimeout, SessionLost, GuestCrashed.
    """
    script = Script(WINDOWS_EVENTS, Logs=list(LOGS), Since=since, Most=MOST, Longest=LONGEST)
    told = run(script.in_local_scope(), timeout=timeout)
    wrong = [error for error in told.errors if not error.error_id.startswith(NONE_FOUND)]
    if wrong:
        raise CommandFailed(f"the guest's event logs could not be read: {wrong[0]}", result=told)
    return sorted(map(_entry, told.all), key=lambda event: event.time)


def _entry(told: Any) -> GuestEvent:
    level = LEVELS.get(int(told.Level or 0), "information")
    return GuestEvent(float(told.Time), str(told.Source), level, str(told.Text)[:LONGEST])


def seconds_of(moment: float | datetime.datetime) -> float:
    """A moment as seconds since 1970. Raises ValueError for a time that does not say its zone."""
    if not isinstance(moment, datetime.datetime):
        return float(moment)
    if moment.tzinfo is None:
        raise ValueError("events() needs a time with its zone, such as datetime.datetime.now(datetime.UTC)")
    return moment.timestamp()
