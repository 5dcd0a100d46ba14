"""Programs in a Windows guest: what is sent for them, and what their objects are taken for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_hyperv.backends.hyperv.program import OutputLimit, outcome, program_script
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CommandFailed, CommandTimeout
from pytest_hyperv.guest import OUTPUT_LIMIT, CommandResult
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.records import ErrorRecord
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.psrp.values import to_wire

ARGV = ["tool.exe", "two words"]


def sent(**values: Any) -> dict[str, Any]:
    """The parameters of the script for ARGV."""
    given = {"data": None, "cwd": None, "env": None, "timeout": 0.0, **values}
    script = program_script(ARGV, **given)
    assert script.text == text("run-program")
    return {str(name): value for name, value in script.parameters}


def piece(stream: int, data: bytes) -> PSObject:
    return PSObject.of(Stream=stream, Data=data)


def end(code: int = 0, *, timed_out: bool = False) -> PSObject:
    return PSObject.of(ExitCode=code, TimedOut=timed_out, ProcessId=4)


def ended(objects: Iterable[object], failure: ErrorRecord | None = None, *, timeout: float = 5.0) -> CommandResult:
    seen = OutputLimit(ARGV, OUTPUT_LIMIT, None)
    for each in objects:
        seen.take(each)
    return outcome(ARGV, seen, PowerShellResult(failure=failure), 1.25, timeout)


def test_what_is_absent_is_left_out() -> None:
    assert sent() == {"FileName": "tool.exe", "Arguments": '"two words"'}
    assert sent(data=b"", env={}, timeout=0) == sent()


def test_what_is_given_travels_as_it_is() -> None:
    given = sent(data=b"\0in", cwd="C:\\a b", env={"NAME": "a;b%c%"}, timeout=7)
    assert given["InputBytes"] == b"\0in"
    assert given["WorkingDirectory"] == "C:\\a b"
    assert given["Environment"] == {"NAME": "a;b%c%"}
    assert (given["TimeoutSeconds"], type(given["TimeoutSeconds"])) == (7.0, float)


def test_every_parameter_is_one_of_the_script_and_can_travel() -> None:
    given = sent(data=b"x", cwd="C:\\", env={"A": "b"}, timeout=1)
    head = text("run-program").partition("param(")[2].partition("\n")[0]
    assert all(f"${name}" in head for name in given)
    for value in given.values():
        to_wire(value)


def test_an_environment_is_copied_when_it_is_given() -> None:
    env = {"A": "1"}
    given = sent(env=env)
    env["A"] = "2"
    assert given["Environment"] == {"A": "1"}


def test_both_streams_keep_their_bytes_apart_and_in_order() -> None:
    result = ended([piece(1, b"a\0"), piece(2, b"x\r\n"), piece(1, b"\xffb"), piece(2, b"y"), end(3)])
    assert (result.stdout_bytes, result.stderr_bytes) == (b"a\0\xffb", b"x\r\ny")
    assert (result.returncode, result.argv, result.duration) == (3, tuple(ARGV), 1.25)
    assert not result


@pytest.mark.parametrize("code", [0, 1, 259, -1073741819, 2**31 - 1])
def test_an_exit_code_is_the_programs_own(code: int) -> None:
    assert ended([end(code)]).returncode == code


def test_who_listens_gets_each_piece_as_it_comes() -> None:
    heard: list[tuple[int, bytes]] = []
    seen = OutputLimit(ARGV, 100, lambda stream, data: heard.append((stream, data)))
    for each in (piece(1, b"a"), piece(2, b"b"), piece(1, b"c"), end()):
        seen.take(each)
    assert heard == [(1, b"a"), (2, b"b"), (1, b"c")]


def test_what_is_no_piece_and_no_end_is_passed_over() -> None:
    result = ended(["text of a profile script", None, 3, piece(1, b"x"), end()])
    assert result.stdout == "x"


def test_a_stream_may_be_as_long_as_the_limit_and_no_longer() -> None:
    seen = OutputLimit(ARGV, 4, None)
    seen.take(piece(1, b"1234"))
    seen.take(piece(2, b"1234"))
    with pytest.raises(CommandFailed, match=r"tool\.exe wrote more than 4 bytes on one stream") as over:
        seen.take(piece(2, b"5"))
    assert "spawn" in over.value.hint


def test_a_program_that_was_killed_for_its_time_is_a_timeout_with_what_it_wrote() -> None:
    with pytest.raises(CommandTimeout, match=r"`tool\.exe two words` did not end in 0\.5 s") as late:
        ended([piece(1, b"out"), piece(2, b"err"), end(1, timed_out=True)], timeout=0.5)
    assert (late.value.stdout, late.value.stderr, late.value.timeout) == (b"out", b"err", 0.5)


def test_a_program_that_cannot_be_started_says_why() -> None:
    """CreateProcess's own words, through the failure that ended the script."""
    why = ErrorRecord("The system cannot find the file specified", error_id="MethodInvocationException")
    with pytest.raises(CommandFailed, match=r"tool\.exe cannot be started in the guest: The system cannot find"):
        ended([], why)


def test_a_script_that_said_nothing_at_all_is_no_success() -> None:
    with pytest.raises(CommandFailed, match="said nothing"):
        ended([piece(1, b"x")])
