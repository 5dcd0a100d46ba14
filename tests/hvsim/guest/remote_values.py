"""Values and records as they come out of a session inside a session: copies, with the notes of remoting on them.

The shapes are those of the recording ``tests/psrp/recordings/nested-session.jsonl``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psrpcore.types import ErrorCategory

from tests.hvsim.engine.values import Noted, UInt32, custom_object
from tests.hvsim.guest.identity import COMPUTER
from tests.hvsim.guest.session import GuestSession
from tests.hvsim.values import NetObject

COPY = "Deserialized."
SPACE = "System.Management.Automation."
COR_E_EXCEPTION = -2146233087
"""The HRESULT of an exception that has none of its own."""


@dataclass(frozen=True)
class Record:
    """A record of the warning, verbose, debug or information stream; `stream` is its name.

    `source`, `tags` and `time` belong to information.
    """

    stream: str
    message: object
    source: str = ""
    tags: tuple[str, ...] = ()
    time: datetime | None = None


@dataclass(frozen=True)
class ErrorRecord:
    """An error in the guest. `exception` is the .NET class, `error_id` the FullyQualifiedErrorId."""

    message: str
    error_id: str
    category: str = "NotSpecified"
    exception: str = SPACE + "RuntimeException"
    target: str = ""
    activity: str = ""
    position: str = ""

    @property
    def stack(self) -> str:
        """Where it happened, as the engine writes it."""
        return "at <ScriptBlock>, <No file>: line 1"


def remote(value: object, session: GuestSession) -> object:
    """One object of the guest's output as the host's process gives it out."""
    if isinstance(value, Record):
        return Noted(_record(value, session.user), session.notes)
    if isinstance(value, ErrorRecord):
        return Noted(_error(value), session.notes)
    return None if value is None else Noted(copied(value), session.notes)


def copied(value: object) -> object:
    """The value as a copy: objects of classes say so, what they hold too."""
    if isinstance(value, NetObject):
        names = tuple(name if name.startswith(COPY) else COPY + name for name in value.type_names)
        return NetObject(names, {name: copied(entry) for name, entry in value.properties.items()}, value.text)
    if isinstance(value, ErrorRecord):
        return _error(value)
    if isinstance(value, list):
        return [copied(entry) for entry in value]
    if isinstance(value, Mapping):
        return {key: copied(entry) for key, entry in value.items()}
    return value


def trailer(exit_code: int | None, state: str, failure: ErrorRecord | None = None) -> NetObject:
    """The last object of run-script.ps1 and invoke-calls.ps1."""
    return custom_object(
        {
            "HypervTrailer": 1,
            "ExitCode": exit_code,
            "State": state if failure is None else "Failed",
            "ErrorId": failure.error_id if failure else None,
            "Message": failure.message if failure else None,
            "Category": failure.category if failure else None,
            "Position": (failure.position or None) if failure else None,
            "Stack": failure.stack if failure else None,
        }
    )


def _record(record: Record, user: str) -> NetObject:
    if record.stream == "Information":
        return NetObject(
            _classes(f"{SPACE}InformationRecord", "System.Object"),
            {
                "MessageData": copied(record.message),
                "Source": record.source,
                "TimeGenerated": record.time,
                "Tags": list(record.tags),
                "User": f"{COMPUTER}\\{user}",
                "Computer": COMPUTER,
                "ProcessId": UInt32(4000),
                "NativeThreadId": UInt32(1),
                "ManagedThreadId": UInt32(5),
            },
            str(record.message),
        )
    return NetObject(
        _classes(f"{SPACE}{record.stream}Record", f"{SPACE}InformationalRecord", "System.Object"),
        {"InformationalRecord_Message": str(record.message), "InformationalRecord_SerializeInvocationInfo": False},
        str(record.message),
    )


def _error(record: ErrorRecord) -> NetObject:
    reason = record.exception.rpartition(".")[2]
    exception = NetObject(
        _classes(record.exception, "System.SystemException", "System.Exception", "System.Object"),
        {"TargetSite": None, "Message": record.message, "InnerException": None, "HResult": COR_E_EXCEPTION},
        f"{record.exception}: {record.message}",
    )
    position = NetObject(
        _classes(f"{SPACE}InvocationInfo", "System.Object"),
        {"ScriptLineNumber": 1, "OffsetInLine": 1, "PositionMessage": record.position},
        f"{SPACE}InvocationInfo",
    )
    target_type = "String" if record.target else ""
    return NetObject(
        _classes(f"{SPACE}ErrorRecord", "System.Object"),
        {
            "Exception": exception,
            "TargetObject": record.target or None,
            "FullyQualifiedErrorId": record.error_id,
            "InvocationInfo": position,
            "ErrorCategory_Category": ErrorCategory[record.category].value,
            "ErrorCategory_Activity": record.activity,
            "ErrorCategory_Reason": reason,
            "ErrorCategory_TargetName": record.target,
            "ErrorCategory_TargetType": target_type,
            "ErrorCategory_Message": f"{record.category}: ({record.target}:{target_type}) [{record.activity}], "
            f"{reason}",
            "SerializeExtendedInfo": False,
            "ErrorDetails_ScriptStackTrace": record.stack,
            "PSMessageDetails": None,
        },
        record.message,
    )


def _classes(*names: str) -> tuple[str, ...]:
    return tuple(COPY + name for name in names)
