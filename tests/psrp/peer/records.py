"""Errors as the engine describes them on the wire."""

from __future__ import annotations

from typing import Any

from psrpcore import types as ps

RUNTIME_EXCEPTION = "System.Management.Automation.RuntimeException"


class ShellError(Exception):
    """An error of PowerShell: ends the pipeline when raised, is written to the error stream otherwise.

    `exception_type` is the .NET class of the exception in the record.
    """

    def __init__(
        self,
        message: str,
        error_id: str,
        category: str = "NotSpecified",
        *,
        target: str = "",
        activity: str = "",
        exception_type: str = RUNTIME_EXCEPTION,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_id = error_id
        self.category = category
        self.target = target
        self.activity = activity
        self.exception_type = exception_type


def error_record(failure: ShellError) -> ps.PSObject:
    """The property bag that travels (MS-PSRP 2.2.3.15), with the position where the engine puts it."""
    position = _bag(["System.Management.Automation.InvocationInfo"], PositionMessage=_position(failure))
    return _record(failure, failure.exception_type, position)


def stopped_record() -> ps.PSObject:
    """Why a stopped pipeline ended."""
    failure = ShellError("The pipeline has been stopped.", "PipelineStopped", "OperationStopped")
    return _record(failure, "System.Management.Automation.PipelineStoppedException", None)


def _record(failure: ShellError, exception_type: str, invocation: ps.PSObject | None) -> ps.PSObject:
    exception = ps.NETException(Message=failure.message)
    exception.PSObject.type_names = [exception_type, *exception.PSTypeNames]
    exception.PSObject.to_string = f"{exception_type}: {failure.message}"
    category = ps.ErrorCategory[failure.category]
    reason = exception_type.rpartition(".")[2]
    record = _bag(
        ["System.Management.Automation.ErrorRecord"],
        Exception=exception,
        TargetObject=failure.target or None,
        FullyQualifiedErrorId=failure.error_id,
        InvocationInfo=invocation,
        ErrorCategory_Category=ps.PSInt(category.value),
        ErrorCategory_Activity=failure.activity,
        ErrorCategory_Reason=reason,
        ErrorCategory_TargetName=failure.target,
        ErrorCategory_TargetType="String" if failure.target else "",
        ErrorCategory_Message=f"{category.name}: ({failure.target}:) [{failure.activity}], {reason}",
        ErrorDetails_ScriptStackTrace="at <ScriptBlock>, <No file>: line 1",
        SerializeExtendedInfo=False,
    )
    record.PSObject.to_string = failure.message
    return record


def _position(failure: ShellError) -> str:
    return f"At line:1 char:1\n+ {failure.activity or failure.error_id}\n+ ~~~"


def state_message(state: ps.PSInvocationState, failure: ps.PSObject | None) -> ps.PSObject:
    """The state of a pipeline (MS-PSRP 2.2.2.21) and, unless it completed, why."""
    reason = {} if failure is None else {"ExceptionAsErrorRecord": failure}
    return _bag([], PipelineState=ps.PSInt(int(state)), **reason)


def _bag(type_names: list[str], **properties: Any) -> ps.PSObject:
    bag = ps.PSObject()
    bag.PSObject.type_names = [*type_names, "System.Object"] if type_names else []
    for name, value in properties.items():
        ps.add_note_property(bag, name, value)
    return bag
