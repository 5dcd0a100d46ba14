"""What arrives beside output: errors in both of their forms as one type, information and progress."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from psrpcore.types import ErrorCategory

from pytest_hyperv.errors import CmdletError
from pytest_hyperv.psrp.values import from_wire, plain_type_name


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """A PowerShell error (MS-PSRP 2.2.3.15), or the flat RemotingErrorRecord of a session inside a session.

    ``error_id`` is the FullyQualifiedErrorId, ``category`` the ErrorCategory's name, ``target`` the category's
    TargetName; ``position`` and ``stack`` say where in a script it happened and may be empty.
    """

    message: str
    error_id: str = ""
    category: str = "NotSpecified"
    reason: str = ""
    activity: str = ""
    target: str = ""
    target_type: str = ""
    position: str = ""
    stack: str = ""
    exception: str = ""

    def __str__(self) -> str:
        return f"{self.message} [{self.category}, {self.error_id}]" if self.error_id else self.message

    def cmdlet_error(self, command: str, host: str = "local") -> CmdletError:
        """The exception that stands for this record; ``command`` is what was run, without its values."""
        hint = f"It happened {self.position.strip()}" if self.position.strip() else ""
        return CmdletError(
            f"{command} failed: {self.message}",
            hint=hint,
            host=host,
            command=command,
            error_id=self.error_id,
            category=self.category,
            target=self.target,
            position=self.position,
            stack=self.stack,
        )


@dataclass(frozen=True, slots=True)
class Information:
    """A record of the information stream; Write-Host's carry the tag PSHOST and their text as ``message``."""

    message: Any
    source: str = ""
    tags: tuple[str, ...] = ()
    time: datetime.datetime | None = None

    def __str__(self) -> str:
        return str(self.message)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command is. ``percent`` and ``seconds_left`` are -1 when it did not say."""

    activity: str
    status: str = ""
    operation: str = ""
    percent: int = -1
    seconds_left: int = -1
    completed: bool = False
    activity_id: int = field(default=0)


def error_from_wire(record: Any) -> ErrorRecord:
    """One type from psrpcore's ErrorRecord and from the flat property bag of a RemotingErrorRecord."""
    flat = _read(record, "CategoryInfo") is None
    category = (
        _read(record, "ErrorCategory_Category", default=0)
        if flat
        else _read(record, "CategoryInfo", "Category", default=0)
    )
    prefix = ("ErrorCategory_",) if flat else ("CategoryInfo", "")

    def category_text(name: str) -> str:
        return _text(record, *prefix[:-1], prefix[-1] + name)

    details = _text(record, "ErrorDetails_Message") if flat else _text(record, "ErrorDetails", "Message")
    stack = _text(record, "ErrorDetails_ScriptStackTrace") if flat else _text(record, "ScriptStackTrace")
    exception = _read(record, "Exception")
    return ErrorRecord(
        message=details
        or _text(exception, "Message")
        or _exception_text(exception)
        or str(record.PSObject.to_string or ""),
        error_id=_text(record, "FullyQualifiedErrorId"),
        category=_category_name(int(category)),
        reason=category_text("Reason"),
        activity=category_text("Activity"),
        target=category_text("TargetName"),
        target_type=category_text("TargetType"),
        position=_position(record, exception),
        stack=stack,
        exception=_exception_type(exception),
    )


def information_from_wire(record: Any) -> Information:
    """From psrpcore's InformationRecord; a HostInformationMessage is taken for its text."""
    message = from_wire(record.MessageData)
    time = from_wire(record.TimeGenerated)
    return Information(
        message=getattr(message, "Message", message) if hasattr(message, "is_a") else message,
        source=str(record.Source or ""),
        tags=tuple(str(tag) for tag in record.Tags or ()),
        time=time if isinstance(time, datetime.datetime) else None,
    )


def progress_from_wire(record: Any) -> Progress:
    """From psrpcore's ProgressRecord."""
    return Progress(
        activity=str(record.Activity or ""),
        status=str(record.StatusDescription or ""),
        operation=str(record.CurrentOperation or ""),
        percent=_number(record.PercentComplete),
        seconds_left=_number(record.SecondsRemaining),
        completed=record.RecordType is not None and record.RecordType.name == "Completed",
        activity_id=int(record.ActivityId or 0),
    )


def _number(value: Any) -> int:
    return -1 if value is None else int(value)


def _read(value: Any, *names: str, default: Any = None) -> Any:
    for name in names:
        value = getattr(value, name, None)
    return default if value is None else value


def _text(value: Any, *names: str) -> str:
    found = _read(value, *names)
    return "" if found is None else str(found)


def _category_name(number: int) -> str:
    try:
        return str(ErrorCategory(number).name)
    except ValueError:
        return str(number)


def _position(record: Any, exception: Any) -> str:
    return (
        _text(exception, "SerializedRemoteInvocationInfo", "PositionMessage")
        or _text(record, "InvocationInfo", "PositionMessage")
        or _text(record, "InvocationInfo_PositionMessage")
    )


def _exception_text(exception: Any) -> str:
    if exception is None:
        return ""
    text = str(exception) if isinstance(exception, str) else str(exception.PSObject.to_string or "")
    return text.split("\n", 1)[0].partition(": ")[2] or text


def _exception_type(exception: Any) -> str:
    inner = _read(exception, "SerializedRemoteException")
    for candidate in (inner, exception):
        names = getattr(getattr(candidate, "PSObject", None), "type_names", None)
        if names:
            return plain_type_name(names[0])
    return ""
