"""PowerShell in the simulated guest: what scripts and cmdlets bring back through the runner, as the real one does."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance import scripts as suite
from tests.conformance import windows
from tests.hvsim.guest.answers import answer_for
from tests.hvsim.guest.language import read
from tests.hvsim.guest.reader import ScriptError
from tests.hvsim.guest.trial import Guest, make_trial


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A session into a running guest."""
    with make_trial(tmp_path_factory.mktemp("host")).guest() as opened:
        yield opened


@pytest.mark.parametrize(
    ("script", "output"),
    [
        ("1", [1]),
        ("1+1; 'two'; \"three $(1 + 2)\"", [2, "two", "three 3"]),
        ("$x = 5; $x += 2; $x * 2", [14]),
        ("1..3 | ForEach-Object { $_ * 10 }", [10, 20, 30]),
        ("foreach ($i in 1, 2) { if ($i -eq 2) { 'yes' } else { 'no' } }", ["no", "yes"]),
        ("$n = 0; while ($true) { $n++; if ($n -gt 4) { break } }; $n", [5]),
        ("for ($i = 0; $i -lt 3; $i += 1) { $i }", [0, 1, 2]),
        ("$t = @{ A = 1; B = 'b' }; $t.B; $t['A']; $t.Count", ["b", 1, 2]),
        ("'a,b,c'.Split(',')[1]; ('x' * 3).Length; 'Ab' -match '^a'; 'abc' -replace 'b', 'x'", ["b", 3, True, "axc"]),
        ("'{0:d3}-{1}' -f 7, 'x'; (3, 1, 2 | Sort-Object) -join ''", ["007-x", "123"]),
        ("try { throw 'oops' } catch { \"caught $($_.Exception.Message)\" } finally { 'end' }", ["caught oops", "end"]),
        ("function Twice($v) { $v; $v }; (Twice 4).Count", [2]),
        ("& { param($a) $a + 1 } 5", [6]),
        ("$env:COMPUTERNAME; $PSVersionTable.PSVersion.ToString().Substring(0, 4)", ["SIMGUEST", "5.1."]),
        ("7 / 2; 6 / 2; 7 % 4; 2147483647 + 1; 1KB", [3.5, 3, 3, 2147483648, 1024]),
        ("@(); $null; ''; (1, 2, 3).Count; @(1).Length", [None, "", 3, 1]),
        ("if (-not (Test-Path C:\\absent)) { 'absent' }", ["absent"]),
        ("1..5 | Where-Object { $_ -gt 3 } | Measure-Object -Sum | Select-Object -ExpandProperty Sum", [9]),
        ("@'\nhere\n'@", ["here"]),
        ("'a' | Out-Null; [int] '42'; [string] 1; [bool] 0", [42, "1", False]),
        ("hostname; $LASTEXITCODE", ["SIMGUEST", 0]),
        ("cmd /c 'echo out& exit 3'; $LASTEXITCODE", ["out", 3]),
    ],
)
def test_what_scripts_write(guest: Guest, script: str, output: list[Any]) -> None:
    result = guest.ps(script)
    assert not result.errors, result.errors
    assert result.output == output


@pytest.mark.parametrize(
    "value", [1, -(2**40), 1.5, True, None, "ü\0", b"\0\xff", [1, [2]], {"k": [1]}, datetime.timedelta(1)]
)
def test_values_come_back_as_they_were_sent(guest: Guest, value: Any) -> None:
    assert guest.ps(suite.ECHO, value).check().output == [value]


def test_arguments_bind_by_position_and_by_name(guest: Guest) -> None:
    script = "param([int] $a, [string] $b = 'default', [switch] $c) $a + 1; $b; [bool] $c"
    assert guest.ps(script, "4").output == [5, "default", False]
    assert guest.ps(script, b="given", a=1, c=True).output == [2, "given", True]


def test_every_stream_arrives_as_its_own_kind_and_in_order(guest: Guest) -> None:
    outer = guest.outer(suite.STREAMS)
    kinds = [getattr(value, "type_names", (type(value).__name__,))[0].rpartition(".")[2] for value in outer.output]
    assert kinds == [
        *("str", "ErrorRecord", "WarningRecord", "VerboseRecord", "DebugRecord", "InformationRecord", "PSCustomObject"),
    ]  # fmt: skip
    result = guest.ps(suite.STREAMS)
    assert (result.output, result.warnings, result.verbose, result.debug) == (["out"], ["warn"], ["verb"], ["dbg"])
    assert [(error.message, error.activity) for error in result.errors] == [("err", "Write-Error")]
    assert result.errors[0].error_id == "Microsoft.PowerShell.Commands.WriteErrorException"
    assert [(info.message, info.tags) for info in result.information] == [("info", ("a", "b"))]
    assert result.information[0].time is not None


@pytest.mark.parametrize(("script", "code"), [("exit", 0), ("exit 5", 5), ("cmd /c exit 7", 7), ("& { exit 4 }", 4)])
def test_exit_codes_come_back_and_the_session_lives(guest: Guest, script: str, code: int) -> None:
    result = guest.ps(f"'before'; {script}; 'after'")
    assert result.output[0] == "before"
    assert result.exit_code == code
    assert guest.state() == "Opened"


def test_exit_ends_the_script_alone(guest: Guest) -> None:
    assert guest.ps(suite.EXIT, 9).output == ["before"]


def test_a_throw_is_a_failed_trailer(guest: Guest) -> None:
    result = guest.ps("'first'; throw 'thrown'; 'never'")
    assert result.output == ["first"]
    assert result.failure is not None
    assert (result.failure.message, result.failure.error_id) == ("thrown", "thrown")
    assert result.failure.category == "OperationStopped"


@pytest.mark.parametrize(
    ("script", "error_id", "category"),
    [
        ("1/0", "RuntimeException", "NotSpecified"),
        ("Get-Nope", "CommandNotFoundException", "ObjectNotFound"),
        (
            "Get-Service -Name no-such",
            "NoServiceFoundForGivenName,Microsoft.PowerShell.Commands.GetServiceCommand",
            "ObjectNotFound",
        ),
        ("Get-Content C:\\absent", "PathNotFound,Microsoft.PowerShell.Commands.GetContentCommand", "ObjectNotFound"),
        ("Get-Service -Nope x", "NamedParameterNotFound,Get-Service", "InvalidArgument"),
    ],
)  # fmt: skip
def test_errors_that_a_script_survives(guest: Guest, script: str, error_id: str, category: str) -> None:
    result = guest.ps(f"{script}; 'on'")
    assert result.output == ["on"]
    assert result.failure is None
    assert [(error.error_id, error.category) for error in result.errors] == [(error_id, category)]


def test_error_action_stop_ends_the_script(guest: Guest) -> None:
    for script in (
        "Get-Item C:\\absent -ErrorAction Stop; 'on'",
        "$ErrorActionPreference = 'Stop'; Get-Item C:\\absent; 'on'",
    ):
        result = guest.ps(script)
        assert result.output == []
        assert result.failure is not None
        assert result.failure.error_id.startswith("PathNotFound")
    assert guest.ps("Get-Item C:\\absent -ErrorAction SilentlyContinue; 'on'").check().output == ["on"]
    assert guest.ps("Get-Item C:\\absent 2>$null; 'on'").check().output == ["on"]


def test_what_cannot_be_read_or_bound_is_a_failed_trailer(guest: Guest) -> None:
    unread = guest.ps("'a' 'b'")
    assert unread.failure is not None
    assert (unread.failure.category, unread.output) == ("ParserError", [])
    unbound = guest.ps("param([int] $n) $n", "no number")
    assert unbound.failure is not None
    assert unbound.failure.error_id == "ParameterArgumentTransformationError"


def test_global_variables_last_as_long_as_the_session(guest: Guest) -> None:
    guest.ps(suite.KEEP, "kept").check()
    guest.ps("$local = 1").check()
    assert guest.ps(suite.KEPT).output == ["kept"]
    assert guest.ps("$local").output == [None]


def test_files_of_scripts_and_of_programs_are_the_same(guest: Guest) -> None:
    script = "param($p) Set-Content -Path $p -Value 'one', 'zwei'; Add-Content $p 'drei'; Get-Content -LiteralPath $p"
    assert guest.ps(script, r"C:\ProgramData\f.txt").check().output == ["one", "zwei", "drei"]
    assert guest.run("cmd", "/c", r"type C:\ProgramData\f.txt").stdout == "one\r\nzwei\r\ndrei\r\n"
    assert guest.ps(r"(Get-Item C:\ProgramData\f.txt).Length; Test-Path C:\ProgramData -PathType Leaf").output == [
        17,
        False,
    ]
    assert guest.ps(r"Remove-Item C:\ProgramData\f.txt; Test-Path C:\ProgramData\f.txt").output == [False]


def test_a_service_comes_as_its_class_and_as_its_selection(guest: Guest) -> None:
    service = guest.ps("Get-Service -Name vmicheartbeat").check().one
    assert service.is_a("System.ServiceProcess.ServiceController")
    assert service.Status == "Running"
    assert service.Status == 4
    chosen = guest.ps("Get-Service -Name vmicheartbeat | Select-Object Name, Status").check().one
    assert set(chosen) == {"Name", "Status"}
    assert guest.ps("Start-Service wuauserv; (Get-Service wuauserv).Status").check().one == "Running"


def test_cmdlets_travel_as_data(guest: Guest) -> None:
    services = {"Name": "Get-Service", "Arguments": [], "Parameters": {"Name": "vmic*"}}
    chosen = {"Name": "Select-Object", "Arguments": [["Name", "Status"]], "Parameters": {"First": 1}}
    result = guest.call([services, chosen]).check()
    assert (result.one.Name, result.one.Status) == ("vmicguestinterface", "Stopped")
    failing = {"Name": "Get-Service", "Arguments": ["absent"], "Parameters": {"ErrorAction": "Stop"}}
    ended = guest.call([failing], [services])
    assert ended.failure is not None
    assert ended.failure.error_id.startswith("NoServiceFoundForGivenName")
    assert ended.output == []
    unknown = guest.call([{"Name": "Get-Nope", "Arguments": [], "Parameters": {}}])
    assert unknown.failure is not None
    assert unknown.failure.error_id == "CommandNotFoundException"


def test_everything_carries_the_notes_of_remoting(guest: Guest) -> None:
    from psrpcore import types as ps

    from pytest_hyperv.psrp import values

    seen: list[set[str]] = []
    original = values.from_wire

    def noted(value: Any) -> Any:
        if isinstance(value, ps.PSObject):
            seen.append({str(entry.name) for entry in value.PSObject.extended_properties})
        return original(value)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pytest_hyperv.psrp.pipeline.from_wire", noted)
        guest.ps("1; 'text'; Get-Service EventLog")
    assert len(seen) >= 4
    assert all(names >= values.REMOTING_PROPERTIES for names in seen)


@pytest.mark.parametrize(
    "script",
    [
        value
        for place in (suite, windows)
        for name, value in vars(place).items()
        if name.isupper() and isinstance(value, str)
    ],
)
def test_every_script_of_the_conformance_suite_is_understood(script: str) -> None:
    assert answer_for(script) is not None or read(script).statements


def test_a_script_that_cannot_be_read_says_where() -> None:
    for broken in ("if (1) {", "'open", '"open', "foreach ($x 1) {}", "1 +", "Get-Item | 'x'"):
        with pytest.raises(ScriptError):
            read(broken)
