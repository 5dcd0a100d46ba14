"""Get-WinEvent: entries of the host's event logs."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from tests.hvsim.engine import errors
from tests.hvsim.engine.general.comparison import wildcard
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.engine.values import Byte, Int64
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.state import VMMS_LOG, WORKER_LOG, Event
from tests.hvsim.values import NetObject, net_text

LOGS = (WORKER_LOG, VMMS_LOG, "System", "Application", "Security", "Setup")
PROVIDERS = {WORKER_LOG: "Microsoft-Windows-Hyper-V-Worker", VMMS_LOG: "Microsoft-Windows-Hyper-V-VMMS"}
LEVELS = {1: "Critical", 2: "Error", 3: "Warning", 4: "Information"}
KEYS = ("logname", "id", "starttime", "endtime", "providername", "level")
EVENT_LOG = "EventLog"
ARRAY_LIST = "System.Collections.ArrayList"


def get_win_event(inv: Invocation) -> Iterator[object]:
    """By -FilterHashtable or -LogName, the newest first; none at all is an error, as in Windows."""
    filters = inv.value("FilterHashtable")
    if filters is None:
        if inv.value("LogName") is None:
            raise errors.not_simulated(inv.command)
        filters = [{"LogName": inv.value("LogName")}]
    wanted = [_Filter(inv, entry) for entry in filters]
    with inv.host.transaction() as world:
        happened = [event for event in world.events if event.time <= world.now]
    found = [event for event in happened if any(each.takes(event) for each in wanted)]
    found.sort(key=lambda event: event.record, reverse=not inv.value("Oldest"))
    if not found:
        raise HostFailure(
            "No events were found that match the specified selection criteria.",
            error_id="NoMatchingEventsFound",
            category="ObjectNotFound",
        )
    limit = inv.value("MaxEvents")
    yield from map(_entry, found[: None if limit is None else int(limit)])


class _Filter:
    """One hashtable of -FilterHashtable."""

    def __init__(self, inv: Invocation, table: dict[Any, Any]) -> None:
        entries = {str(key).casefold(): value for key, value in table.items()}
        unknown = [key for key in entries if key not in KEYS]
        if unknown or not ({"logname", "providername"} & set(entries)):
            raise errors.refusal(
                inv.command,
                f"The hash table value is not valid: {', '.join(unknown) or 'it names neither a log nor a provider'}.",
                "NullNotAllowedInHashtable" if not unknown else "UnknownKey",
                "InvalidArgument",
            )
        self._logs = _list(entries.get("logname"))
        self._providers = _list(entries.get("providername"))
        self._ids = [net_text(number) for number in _list(entries.get("id"))]
        self._levels = [net_text(number) for number in _list(entries.get("level"))]
        self._from, self._to = _instant(entries.get("starttime")), _instant(entries.get("endtime"))
        for log in self._logs:
            if not any(wildcard(net_text(log)).fullmatch(known) for known in LOGS):
                raise HostFailure(
                    f'There is not an event log on the localhost computer that matches "{net_text(log)}".',
                    error_id="NoMatchingLogsFound",
                    category="ObjectNotFound",
                    target=net_text(log),
                )

    def takes(self, event: Event) -> bool:
        """Whether the entry is one of those wanted."""
        return (
            _among(event.log, self._logs)
            and _among(_provider(event), self._providers)
            and (not self._ids or str(event.id) in self._ids)
            and (not self._levels or str(event.level) in self._levels)
            and (self._from is None or event.time >= self._from)
            and (self._to is None or event.time <= self._to)
        )


def _list(value: object) -> list[object]:
    """What one entry of the table stands for. A list came through a session, so it is an ArrayList, whose name is read
    as one text (PowerShell issue 13108)."""
    return [] if value is None else [ARRAY_LIST] if isinstance(value, (list, tuple)) else [value]


def _among(name: str, patterns: list[object]) -> bool:
    return not patterns or any(wildcard(net_text(pattern)).fullmatch(name) for pattern in patterns)


def _instant(value: object) -> float | None:
    """Seconds since 1970; a time without a zone is the host's, whose zone is UTC."""
    if value is None:
        return None
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.fromisoformat(net_text(value))
    return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()


def _provider(event: Event) -> str:
    return PROVIDERS.get(event.log, EVENT_LOG)


def _entry(event: Event) -> NetObject:
    values = [
        NetObject(("System.Diagnostics.Eventing.Reader.EventProperty", "System.Object"), {"Value": value})
        for value in event.properties
    ]
    bag = {
        "Message": event.message,
        "Id": event.id,
        "Version": Byte(0),
        "Level": Byte(event.level),
        "LevelDisplayName": LEVELS[event.level],
        "LogName": event.log,
        "ProviderName": _provider(event),
        "MachineName": "SIMHOST",
        "RecordId": Int64(event.record),
        "TimeCreated": datetime.datetime.fromtimestamp(event.time, datetime.UTC),
        "Properties": values,
    }
    names = (
        "System.Diagnostics.Eventing.Reader.EventLogRecord",
        "System.Diagnostics.Eventing.Reader.EventRecord",
        "System.Object",
    )
    return NetObject(names, bag, names[0])
