"""Statements, stages, errors and streams, as a client sees them: through the program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv.psrp.calls import Call, Command, Runnable, Script, Select
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.result import PowerShellResult
from tests.hvsim.conftest import started
from tests.hvsim.creation import make_host

CLASS = "Microsoft.HyperV.PowerShell.Commands"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One session with two machines on its host, "one" and "two"."""
    launcher: Path = make_host(tmp_path_factory.mktemp("host"))
    with started(launcher) as opened:
        for name in ("one", "two"):
            opened.call(Command("New-VM", Name=name, Generation=2, MemoryStartupBytes=2**30, NoVHD=True))
        yield opened


def ids(result: PowerShellResult) -> list[str]:
    return [error.error_id for error in result.errors]


def failure_id(session: Session, what: Runnable) -> str:
    failure = session.run(what).failure
    assert failure is not None
    return failure.error_id


def test_live_objects_are_piped_and_bound_one_by_one(session: Session) -> None:
    result = session.call(Command("Get-VM") | Command("Set-VM", Notes="n", Passthru=True) | Select("Name", "Notes"))
    assert [(vm.Name, vm.Notes) for vm in result.output] == [("one", "n"), ("two", "n")]


def test_statements_run_in_order_until_one_fails(session: Session) -> None:
    call = Call(Command("Write-Output", "first")).then(Command("Get-VM", Name="none")).then(Command("New-Guid"))
    result = session.run(call)
    assert result.output == ["first"]
    assert result.failure is not None
    assert result.failure.error_id == f"InvalidParameter,{CLASS}.GetVM"


def test_an_error_without_stop_lets_the_rest_run(session: Session) -> None:
    continuing = Command("Get-VM", Name="none", ErrorAction="Continue")
    result = session.run(Call(continuing).then(Command("Write-Output", "after")))
    assert (result.output, result.failure) == (["after"], None)
    assert ids(result) == [f"InvalidParameter,{CLASS}.GetVM"]


@pytest.mark.parametrize("action", ["SilentlyContinue", "Ignore", 0])
def test_a_silent_error_is_not_seen(session: Session, action: Any) -> None:
    result = session.run(Command("Get-VM", Name="none", ErrorAction=action))
    assert (result.output, result.errors) == ([], [])


def test_one_object_that_fails_does_not_hold_up_the_next(session: Session) -> None:
    result = session.run(Command("Get-VM", Name=["none", "two"]) | Select("Name"))
    assert [vm.Name for vm in result.output] == ["two"]
    assert ids(result) == [f"InvalidParameter,{CLASS}.GetVM"]


def test_the_preference_variable_counts_where_the_command_says_nothing(session: Session) -> None:
    session.call(Script("$ErrorActionPreference = 'Stop'"))
    try:
        assert failure_id(session, Command("Get-VM", Name="none")) == f"InvalidParameter,{CLASS}.GetVM"
    finally:
        session.call(Script("$ErrorActionPreference = 'Continue'"))


def test_errors_can_be_merged_into_the_output(session: Session) -> None:
    result = session.run(Script("Get-VM -Name none 2>&1 | Select-Object FullyQualifiedErrorId; Get-VM none 2>$null"))
    assert result.one.FullyQualifiedErrorId == f"InvalidParameter,{CLASS}.GetVM"
    assert result.errors == []


@pytest.mark.parametrize(
    ("call", "error_id"),
    [
        (Command("Get-Nothing"), "CommandNotFoundException"),
        (Command("Hyper-V\\Get-Item", Path="C:\\"), "CommandNotFoundException"),
        (Command("Get-VM", Bogus=1), f"NamedParameterNotFound,{CLASS}.GetVM"),
        (Command("Get-VM", Id="abc"), f"CannotConvertArgumentNoMessage,{CLASS}.GetVM"),
        (Command("Get-VM", Name="one", Id="0" * 32), f"AmbiguousParameterSet,{CLASS}.GetVM"),
        (Command("New-VHD"), f"MissingMandatoryParameter,{CLASS}.NewVHD"),
        (Command("Write-Output", 5) | Command("Get-VM", Bogus=1), f"NamedParameterNotFound,{CLASS}.GetVM"),
    ],
)
def test_a_call_that_does_not_bind_ends_the_pipeline(session: Session, call: Runnable, error_id: str) -> None:
    assert failure_id(session, call) == error_id


def test_nothing_of_a_statement_runs_when_a_later_stage_does_not_bind(session: Session) -> None:
    making = Command("New-VM", Name="never", Generation=2, MemoryStartupBytes=2**30, NoVHD=True)
    assert failure_id(session, making | Command("Remove-VM", Fource=True)) == f"NamedParameterNotFound,{CLASS}.RemoveVM"
    assert session.call(Command("Get-VM", Name="never", ErrorAction="Ignore")).output == []


def test_an_object_that_does_not_bind_is_an_error_and_the_next_one_goes_on(session: Session) -> None:
    result = session.run(Command("Write-Output", [5]) | Command("Get-VMProcessor"))
    assert result.failure is None
    assert result.errors


def test_a_property_that_does_not_exist_is_refused(session: Session) -> None:
    for reading in (
        Select("Naem"),
        Command("Select-Object", ExpandProperty="Naem"),
        Command("Where-Object", Property="Naem", EQ=True, Value=1),
        Command("ForEach-Object", MemberName="Naem"),
        Command("Sort-Object", Property="Naem"),
        Command("Measure-Object", Property="Naem"),
    ):
        failure = session.run(Command("Get-VM") | reading).failure
        assert failure is not None
        assert failure.error_id.split(",")[0] in ("UnknownProperty", "ExpandPropertyNotFound")


def test_a_command_that_would_ask_fails_until_it_is_told_not_to(session: Session) -> None:
    failure = session.run(Command("Get-VM", Name="one") | Command("Remove-VM")).failure
    assert failure is not None
    assert failure.exception == "System.Management.Automation.Host.HostException"
    assert session.call(Command("Get-VM", Name="one") | Select("Name")).one.Name == "one"


def test_what_if_does_nothing(session: Session) -> None:
    assert session.call(Command("Get-VM") | Command("Remove-VM", Force=True, WhatIf=True)).output == []
    assert len(session.call(Command("Get-VM")).output) == 2


def test_warnings_and_verbose_records_have_streams_of_their_own(session: Session) -> None:
    script = (
        "Write-Warning w; Write-Verbose hidden; Write-Verbose v -Verbose; Write-Error e; Write-Warning x -WA Ignore"
    )
    result = session.run(Script(script))
    assert (result.warnings, result.verbose, [error.message for error in result.errors]) == (["w"], ["v"], ["e"])


def test_streamed_input_reaches_the_first_stage(session: Session) -> None:
    result = session.run(Script("$input | Sort-Object -Descending | Select-Object -First 2"), input=[3, 1, 2])
    assert result.output == [3, 2]
    assert session.run(Command("Measure-Object") | Select("Count"), input=[1, 2]).one.Count == 2


def test_a_command_whose_input_is_empty_runs_once(session: Session) -> None:
    assert len(session.run(Command("Get-VM"), input=[]).output) == 2


def test_scripts_find_what_every_session_has(session: Session) -> None:
    said = session.run(Script("$PSVersionTable.PSVersion; $env:COMPUTERNAME; [string] $PSVersionTable.PSEdition"))
    assert [str(value) for value in said.output] == ["5.1.26100.1", "SIMHOST", "Desktop"]


def test_the_first_objects_end_the_stages_before(session: Session) -> None:
    result = session.run(Script("Write-Output (Get-VM) | Select-Object -First 1 -ExpandProperty Name; 'next'"))
    assert result.output == ["one", "next"]


def test_an_unknown_script_is_refused_as_one(session: Session) -> None:
    failure = session.run(Script("foreach ($vm in Get-VM) { $vm.Name }")).failure
    assert failure is not None
    assert (failure.error_id, failure.category) == ("ParserError", "ParserError")
    assert "does not know this script" in failure.message


def test_a_documented_command_that_is_not_played_says_so(session: Session) -> None:
    assert failure_id(session, Command("Get-Job")) == "NotSimulated,Microsoft.PowerShell.Commands.GetJobCommand"
