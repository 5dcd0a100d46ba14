"""Records of a session inside a session: the streams that a guest's script merged into its output, told apart again.

Seen on the vendor's engine: warnings, verbose and debug records come as property bags with an
``InformationalRecord_Message``, information with its own properties, errors flat, as ``ErrorCategory_*``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psrpcore.types import ErrorCategory

from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.records import ErrorRecord, Information
from pytest_hyperv.psrp.result import PowerShellResult

TRAILER = "HypervTrailer"
"""Property that marks the last object of run-script.ps1."""
_SPACE = "System.Management.Automation."


@dataclass
class Streams:
    """The streams of one script, filled as its output comes."""

    output: list[Any] = field(default_factory=list)
    errors: list[ErrorRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    verbose: list[str] = field(default_factory=list)
    debug: list[str] = field(default_factory=list)
    information: list[Information] = field(default_factory=list)
    trailer: PSObject | None = None

    def take(self, value: Any) -> bool:
        """Put one object where it belongs; True when it is output."""
        if isinstance(value, PSObject):
            if TRAILER in value:
                self.trailer = value
                return False
            for kind, place in _PLACES.items():
                if value.is_a(_SPACE + kind):
                    place(self, value)
                    return False
        return True

    def result(self, title: str, duration: float, *, stopped: bool) -> PowerShellResult:
        """What the script brought, with the exit code and the failure that its trailer tells."""
        failure = _failure(self.trailer)
        if failure is not None:
            self.errors.append(failure)
        return PowerShellResult(
            output=self.output,
            errors=self.errors,
            warnings=self.warnings,
            verbose=self.verbose,
            debug=self.debug,
            information=self.information,
            exit_code=_exit_code(self.trailer, failed=failure is not None or stopped),
            failure=failure,
            stopped=stopped,
            duration=duration,
            title=title,
        )


def _exit_code(trailer: PSObject | None, *, failed: bool) -> int:
    code = None if trailer is None else trailer.get("ExitCode")
    return int(code or failed)


def _failure(trailer: PSObject | None) -> ErrorRecord | None:
    if trailer is None or str(trailer.get("State")) != "Failed":
        return None
    return ErrorRecord(
        message=_text(trailer, "Message"),
        error_id=_text(trailer, "ErrorId"),
        category=_text(trailer, "Category") or "NotSpecified",
        position=_text(trailer, "Position"),
        stack=_text(trailer, "Stack"),
    )


def _error(streams: Streams, record: PSObject) -> None:
    exception, category = record.get("Exception"), record.get("ErrorCategory_Category")
    message = exception.get("Message") if isinstance(exception, PSObject) else None
    streams.errors.append(
        ErrorRecord(
            message=_text(record, "ErrorDetails_Message") or str(message or record.text),
            error_id=_text(record, "FullyQualifiedErrorId"),
            category=ErrorCategory(int(category)).name if category is not None else "NotSpecified",
            reason=_text(record, "ErrorCategory_Reason"),
            activity=_text(record, "ErrorCategory_Activity"),
            target=_text(record, "ErrorCategory_TargetName"),
            target_type=_text(record, "ErrorCategory_TargetType"),
            position=_position(record),
            stack=_text(record, "ErrorDetails_ScriptStackTrace"),
            exception=exception.type_names[0] if isinstance(exception, PSObject) and exception.type_names else "",
        )
    )


def _position(record: PSObject) -> str:
    where = record.get("InvocationInfo")
    return _text(where, "PositionMessage") if isinstance(where, PSObject) else ""


def _information(streams: Streams, record: PSObject) -> None:
    said, time = record.get("MessageData"), record.get("TimeGenerated")
    streams.information.append(
        Information(
            message=said.get("Message", said) if isinstance(said, PSObject) else said,
            source=_text(record, "Source"),
            tags=tuple(str(tag) for tag in record.get("Tags") or ()),
            time=time if isinstance(time, datetime.datetime) else None,
        )
    )


def _words(record: PSObject) -> str:
    return _text(record, "InformationalRecord_Message") or _text(record, "Message") or record.text


def _text(record: PSObject, name: str) -> str:
    value = record.get(name)
    return "" if value is None else str(value)


_PLACES: dict[str, Callable[[Streams, PSObject], None]] = {
    "ErrorRecord": _error,
    "WarningRecord": lambda streams, record: streams.warnings.append(_words(record)),
    "VerboseRecord": lambda streams, record: streams.verbose.append(_words(record)),
    "DebugRecord": lambda streams, record: streams.debug.append(_words(record)),
    "InformationRecord": _information,
}
