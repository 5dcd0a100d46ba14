"""Errors, information and progress of the vendor's engine, as the types of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psrpcore
import pytest

from pytest_hyperv.errors import CmdletError, CommandFailed
from pytest_hyperv.psrp.records import (
    ErrorRecord,
    Information,
    Progress,
    error_from_wire,
    information_from_wire,
    progress_from_wire,
)
from pytest_hyperv.psrp.result import PowerShellResult
from tests.psrp.recording import Recording

RECORDINGS = Path(__file__).parent / "recordings"


def events(name: str, kind: Any) -> list[Any]:
    recording = Recording(RECORDINGS / f"{name}.jsonl")
    return [event for talk in recording.pipelines for event in talk.events if isinstance(event, kind)]


def test_an_error_record_has_all_its_fields() -> None:
    record = error_from_wire(events("errors", psrpcore.ErrorRecordEvent)[0].record)
    assert record.message == "Cannot find path '/no/such/path' because it does not exist."
    assert record.error_id == "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand"
    assert (record.category, record.reason) == ("ObjectNotFound", "ItemNotFoundException")
    assert (record.activity, record.target, record.target_type) == ("Get-Item", "/no/such/path", "String")
    assert record.position.startswith("At line:1 char:1\n+ Get-Item /no/such/path")
    assert record.exception == "System.Management.Automation.ItemNotFoundException"
    assert record.stack.startswith("at <ScriptBlock>")


def test_the_reasons_of_failed_pipelines_keep_the_binders_ids() -> None:
    failures = [event.reason for event in events("errors", psrpcore.PipelineStateEvent) if event.reason is not None]
    assert [error_from_wire(reason).error_id for reason in failures] == [
        "thrown",
        "PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand",
        "CannotConvertArgumentNoMessage,Microsoft.PowerShell.Commands.GetProcessCommand",
        "IfStatementMissingCondition",
        "AmbiguousParameterSet,Microsoft.HyperV.PowerShell.Commands.GetVM",
        "CommandNotFoundException",
    ]


def test_the_flat_record_of_a_session_in_a_session_comes_out_as_the_same_type() -> None:
    record = error_from_wire(events("nested-session", psrpcore.ErrorRecordEvent)[0].record)
    assert record.message.startswith("The term 'Get-Nope' is not recognized")
    assert (record.error_id, record.category) == ("CommandNotFoundException", "ObjectNotFound")
    assert (record.reason, record.target) == ("CommandNotFoundException", "Get-Nope")
    assert record.exception == "System.Management.Automation.CommandNotFoundException"


def test_a_record_raises_as_a_cmdlet_error_with_its_fields() -> None:
    record = ErrorRecord(
        "no", "Id,Cmd", "ObjectNotFound", target="t", position="At line:1 char:1", stack="at <ScriptBlock>"
    )
    error = record.cmdlet_error("Get-VM", "host7")
    assert isinstance(error, CmdletError)
    assert str(error) == "Get-VM failed: no\nHint: It happened At line:1 char:1"
    assert (error.host, error.command, error.error_id, error.category) == (
        "host7",
        "Get-VM",
        "Id,Cmd",
        "ObjectNotFound",
    )
    assert (error.target, error.position, error.stack) == ("t", "At line:1 char:1", "at <ScriptBlock>")


def test_information_keeps_source_and_tags_and_write_host_gives_its_text() -> None:
    first, host = (information_from_wire(event.record) for event in events("streams", psrpcore.InformationRecordEvent))
    assert (first.message, first.source, first.tags) == ("info", "Write-Information", ("a", "b"))
    assert (host.message, host.source, host.tags) == ("host", "Write-Host", ("PSHOST",))
    assert isinstance(first, Information)
    assert first.time is not None
    assert first.time.utcoffset() is not None


def test_progress_tells_percent_and_completion() -> None:
    steps = [progress_from_wire(event.record) for event in events("streams", psrpcore.ProgressRecordEvent)]
    assert steps == [
        Progress("act", "st", percent=40),
        Progress("act", "Processing", completed=True),
    ]


def test_one_wants_exactly_one() -> None:
    assert PowerShellResult(output=[5]).one == 5
    with pytest.raises(CommandFailed, match="Get-VM gave 2 objects where exactly one was expected"):
        _ = PowerShellResult(output=[1, 2], title="Get-VM").one
    with pytest.raises(CommandFailed, match=r"gave 0 objects.*\n  boom"):
        _ = PowerShellResult(errors=[ErrorRecord("boom")]).one
    assert PowerShellResult(output=[1, 2]).all == [1, 2]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (PowerShellResult(exit_code=3, title="script"), "script ended with exit code 3"),
        (PowerShellResult(errors=[ErrorRecord("boom", "Id")]), r"boom \[NotSpecified, Id\]"),
        (PowerShellResult(stopped=True), "was stopped"),
        (PowerShellResult(errors=[ErrorRecord(str(n)) for n in range(9)]), "and 4 more"),
    ],
)
def test_check_raises_for_what_went_wrong_and_carries_the_result(result: PowerShellResult, said: str) -> None:
    with pytest.raises(CommandFailed, match=said) as raised:
        result.check()
    assert raised.value.result is result


def test_check_gives_a_good_result_back() -> None:
    good = PowerShellResult(output=[1])
    assert good.check() is good
