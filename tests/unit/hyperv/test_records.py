"""Streams told apart again: of a recorded session inside a session, and of records made by hand."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psrpcore
import pytest

from pytest_hyperv.backends.hyperv.records import TRAILER, Streams
from pytest_hyperv.errors import CommandFailed
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.records import ErrorRecord, Information
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.psrp.values import from_wire
from tests.psrp.recording import Recording

RECORDED = Path(__file__).parents[2] / "psrp" / "recordings" / "nested-session.jsonl"
SPACE = "System.Management.Automation."


def told(values: Iterable[Any], *, stopped: bool = False) -> PowerShellResult:
    """What ``Streams`` makes of a script's output."""
    streams = Streams()
    streams.output.extend([value for value in values if streams.take(value)])
    return streams.result("the script", 1.5, stopped=stopped)


def trailer(**properties: Any) -> PSObject:
    """The last object of run-script.ps1."""
    absent = dict.fromkeys(("ErrorId", "Message", "Category", "Position", "Stack"))
    return PSObject({TRAILER: 1, "ExitCode": None, "State": "Completed", **absent, **properties})


def record(kind: str, text: str = "", **properties: Any) -> PSObject:
    return PSObject(properties, type_names=(SPACE + kind, "System.Object"), text=text)


def outputs(recording: Recording) -> list[list[Any]]:
    """What each pipeline of a recording wrote to its output."""
    return [
        [from_wire(event.data) for event in talk.events if isinstance(event, psrpcore.PipelineOutputEvent)]
        for talk in recording.pipelines
    ]


@pytest.fixture(scope="module")
def merged() -> PowerShellResult:
    """The recorded script that wrote on every stream, all of them merged into its output."""
    (values,) = [
        values
        for values in outputs(Recording(RECORDED))
        if any(isinstance(value, PSObject) and value.is_a(f"{SPACE}WarningRecord") for value in values)
    ]
    return told(values)


def test_recorded_streams_are_told_apart(merged: PowerShellResult) -> None:
    assert merged.output == ["o"]
    assert merged.warnings == ["w"]
    assert merged.verbose == ["v"]
    assert merged.debug == ["d"]
    assert [(said.message, said.source, said.tags) for said in merged.information] == [
        ("i", "Write-Information", ()),
        ("h", "Write-Host", ("PSHOST",)),
    ]
    assert all(said.time is not None and said.time.tzinfo for said in merged.information)


def test_a_recorded_error_keeps_everything_that_travelled(merged: PowerShellResult) -> None:
    (error,) = merged.errors
    assert (error.message, error.category) == ("e", "NotSpecified")
    assert error.error_id == "Microsoft.PowerShell.Commands.WriteErrorException"
    assert (error.activity, error.reason) == ("Write-Error", "WriteErrorException")
    assert (error.target, error.target_type) == ("", "")
    assert "at <ScriptBlock>" in error.stack
    assert error.exception == "Microsoft.PowerShell.Commands.WriteErrorException"


def test_an_error_that_did_not_end_the_script_is_no_failure(merged: PowerShellResult) -> None:
    assert merged.had_errors
    assert merged.failure is None
    assert merged.exit_code == 0


def test_what_a_script_puts_out_is_never_taken_for_a_record() -> None:
    recording = Recording(RECORDED)
    plain = [values for values in outputs(recording) if values and values[0] == "arg one"]
    assert plain, "the recording has a script that puts out its argument, a number and an object"
    assert told(plain[0]).output == ["arg one", 42, PSObject({"A": 1})]
    odd = [None, "WarningRecord", {"State": "Failed"}, PSObject({"Message": "m", "InformationalRecord_Message": "i"})]
    assert told(odd).output == odd


@pytest.mark.parametrize(
    ("code", "state", "expected"),
    [(None, "Completed", 0), (0, "Completed", 0), (3, "Completed", 3), (-1073741819, "Completed", -1073741819)],
)
def test_the_exit_code_is_the_trailers(code: int | None, state: str, expected: int) -> None:
    result = told(["x", trailer(ExitCode=code, State=state)])
    assert result.exit_code == expected
    assert result.output == ["x"]
    assert result.failure is None


def test_a_script_that_failed_without_a_code_has_the_code_one() -> None:
    result = told([trailer(State="Failed", Message="bad", ErrorId="bad")])
    assert result.exit_code == 1
    assert result.failure is not None
    with pytest.raises(CommandFailed, match="bad"):
        result.check()


def test_a_script_that_failed_after_a_program_keeps_the_programs_code() -> None:
    assert told([trailer(State="Failed", ExitCode=7, Message="bad")]).exit_code == 7


def test_a_stopped_script_has_no_trailer_and_the_code_one() -> None:
    result = told(["x"], stopped=True)
    assert (result.exit_code, result.stopped, result.failure) == (1, True, None)
    assert result.output == ["x"]


def test_a_failure_is_the_last_error_with_all_that_the_trailer_says() -> None:
    words = {"ErrorId": "DivideByZero", "Message": "Durch Null.", "Category": "NotSpecified"}
    failed = trailer(State="Failed", **words, Position="at line:1", Stack="at <ScriptBlock>")
    result = told([record("ErrorRecord", "first"), failed])
    assert [error.message for error in result.errors] == ["first", "Durch Null."]
    assert result.failure is result.errors[-1]
    assert result.failure == ErrorRecord(
        message="Durch Null.", error_id="DivideByZero", position="at line:1", stack="at <ScriptBlock>"
    )


def test_a_failure_without_a_category_has_powershells_own_for_that() -> None:
    failure = told([trailer(State="Failed", Message="m")]).failure
    assert failure is not None
    assert failure.category == "NotSpecified"


@pytest.mark.parametrize(
    ("kind", "stream"), [("WarningRecord", "warnings"), ("VerboseRecord", "verbose"), ("DebugRecord", "debug")]
)
def test_the_words_of_a_record_are_found_wherever_they_stand(kind: str, stream: str) -> None:
    said = told(
        [
            record(kind, InformationalRecord_Message="from the copy"),
            record(kind, Message="of its own"),
            record(kind, "as text"),
        ]
    )
    assert getattr(said, stream) == ["from the copy", "of its own", "as text"]
    assert said.output == []


def test_the_message_of_an_error_is_its_details_then_its_exceptions_then_its_text() -> None:
    thrown = PSObject({"Message": "of the exception"}, type_names=("System.IO.IOException", "System.Exception"))
    errors = told(
        [
            record("ErrorRecord", "text", ErrorDetails_Message="details", Exception=thrown),
            record("ErrorRecord", "text", Exception=thrown),
            record("ErrorRecord", "text", Exception="only words"),
            record("ErrorRecord", "text"),
        ]
    ).errors
    assert [error.message for error in errors] == ["details", "of the exception", "text", "text"]
    assert [error.exception for error in errors] == ["System.IO.IOException", "System.IO.IOException", "", ""]


def test_the_category_of_an_error_is_named_after_its_number_and_never_after_words() -> None:
    """13 is ObjectNotFound and 18 PermissionDenied in System.Management.Automation.ErrorCategory."""
    errors = told([record("ErrorRecord", "x", ErrorCategory_Category=number) for number in (13, 18)]).errors
    assert [error.category for error in errors] == ["ObjectNotFound", "PermissionDenied"]


def test_the_place_in_the_script_is_kept() -> None:
    where = PSObject({"PositionMessage": "At line:3 char:5"})
    (error,) = told([record("ErrorRecord", "x", InvocationInfo=where)]).errors
    assert error.position == "At line:3 char:5"


def test_a_line_of_write_host_is_its_text() -> None:
    """Its MessageData is a HostInformationMessage, which holds colours too."""
    now = datetime.datetime(2026, 11, 23, 6, 3, 30, tzinfo=datetime.UTC)
    data = PSObject({"Message": "hello", "NoNewLine": False, "ForegroundColor": None})
    said = record("InformationRecord", MessageData=data, Source="Write-Host", Tags=["PSHOST"], TimeGenerated=now)
    assert told([said]).information == [Information("hello", "Write-Host", ("PSHOST",), now)]


def test_an_informations_object_stays_an_object() -> None:
    data = PSObject({"Step": 3})
    said = record("InformationRecord", MessageData=data, Source="s", Tags=None, TimeGenerated=None)
    (information,) = told([said]).information
    assert information.message == data
    assert (information.tags, information.time) == ((), None)


def test_each_stream_keeps_its_order() -> None:
    mixed = [step for number in range(5) for step in (number, record("WarningRecord", f"w{number}"))]
    result = told([*mixed, trailer()])
    assert result.output == [0, 1, 2, 3, 4]
    assert result.warnings == [f"w{number}" for number in range(5)]


def test_what_is_known_from_outside_stands_in_the_result() -> None:
    result = told([trailer()])
    assert (result.title, result.duration, result.stopped) == ("the script", 1.5, False)
