"""What a test runs by PowerShell is in the transcript, its secrets hidden."""

from __future__ import annotations

from typing import Any, cast

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.powershell import PowerShell
from pytest_hyperv.psrp.calls import Runnable
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.redaction import Redactor
from pytest_hyperv.transcript import Transcript


class Answers:
    """A machine whose PowerShell answers everything in the same way."""

    def __init__(self, result: PowerShellResult) -> None:
        self.result = result
        self.powershell = self

    def run(self, what: Runnable, *, timeout: float) -> PowerShellResult:  # noqa: ARG002
        """The answer."""
        return self.result


def told(result: PowerShellResult, script: str, *args: Any, **params: Any) -> str:
    """The transcript of one script."""
    transcript = Transcript()
    PowerShell(cast("Machine", Answers(result)), 60.0, transcript).ps(script, *args, **params)
    return transcript.whole(Redactor(transcript.secrets))


def test_script_arguments_and_output_are_told() -> None:
    text = told(PowerShellResult(output=["one", 2], exit_code=3), "param($a) $a; exit 3", "x y", Name="z")
    assert "powershell { param($a) $a; exit 3 } 'x y' -Name 'z'\n=> exit code 3 after " in text
    assert "stdout (6 bytes):\n  | one\n  | 2" in text


def test_secrets_given_to_it_are_not() -> None:
    text = told(PowerShellResult(output=["logged in with letmein1"]), "x", Secret("hunter2!"), Password="letmein1")
    assert "hunter2!" not in text
    assert "letmein1" not in text
    assert "logged in with ***" in text


def test_much_output_is_told_by_its_end() -> None:
    text = told(PowerShellResult(output=[f"object {n}" for n in range(100_000)]), "1..100000")
    assert "object 99999" in text
    assert "object 0\n" not in text
    assert len(text) < 10_000
