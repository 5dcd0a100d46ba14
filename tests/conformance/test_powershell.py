"""PowerShell in the guest, through no network. Skipped where the image has none."""

from __future__ import annotations

import pytest

from pytest_hyperv import PowerShell, VirtualMachine
from pytest_hyperv.errors import CommandFailed, CommandTimeout
from tests.conformance import scripts

pytestmark = pytest.mark.feature(7)
ODD = 'it\'s; $(not) `expanded` "at all"\r\n\0 ü 你 🙂'


@pytest.mark.hyperv(reset="class")
class TestScripts:
    def test_arguments_travel_as_values(self, psdirect: PowerShell) -> None:
        for value in (ODD, "", 7, -(2**40), 0.1, True, None, [1, "two", [3]], {"a": 1}):
            assert psdirect.ps(scripts.ECHO, value).check().one == value
            assert psdirect.ps(scripts.ECHO, value=value).check().one == value

    def test_bytes_travel_as_bytes(self, psdirect: PowerShell) -> None:
        assert bytes(psdirect.ps(scripts.ECHO, bytes(range(256))).check().one) == bytes(range(256))

    def test_streams_come_back_apart(self, psdirect: PowerShell) -> None:
        result = psdirect.ps(scripts.STREAMS)
        assert result.output == ["out"]
        assert [error.message for error in result.errors] == ["err"]
        assert (result.warnings, result.verbose, result.debug) == (["warn"], ["verb"], ["dbg"])
        assert [str(record.message) for record in result.information] == ["info"]
        assert result.had_errors
        assert result.failure is None

    def test_an_exit_code_comes_back_and_the_session_lives(self, psdirect: PowerShell) -> None:
        for code in (5, 0, 3010):
            result = psdirect.ps(scripts.EXIT, code)
            assert (result.output, result.exit_code) == (["before"], code)
        assert psdirect.ps(scripts.ECHO, "later").check().one == "later"

    def test_an_error_that_ends_a_script_is_told(self, psdirect: PowerShell) -> None:
        result = psdirect.ps(scripts.THROW)
        assert result.failure is not None
        assert "thrown" in result.failure.message
        with pytest.raises(CommandFailed, match="thrown"):
            result.check()

    def test_a_script_that_never_ends_is_stopped_and_the_session_lives(self, psdirect: PowerShell) -> None:
        psdirect.ps(scripts.KEEP, "said before").check()
        with pytest.raises(CommandTimeout):
            psdirect.ps(scripts.SLEEP, timeout=3)
        assert psdirect.ps(scripts.KEPT).check().one == "said before"

    def test_cmdlets_run_as_data(self, psdirect: PowerShell) -> None:
        assert psdirect.call("Write-Output", InputObject=[3, 1]).all == [3, 1]
        with pytest.raises(CommandFailed, match="no such path"):
            psdirect.call("Get-Item", Path="/no such path", ErrorAction="Stop").run().check()


@pytest.mark.feature(5)
def test_the_session_works_after_a_restore(psdirect: PowerShell, hyperv_vm: VirtualMachine) -> None:
    clean = hyperv_vm.checkpoint("clean")
    for turn in ("first", "second"):
        hyperv_vm.restore(clean)
        assert psdirect.ps(scripts.ECHO, turn).check().one == turn


@pytest.mark.feature(14)
def test_the_session_works_after_a_restart(psdirect: PowerShell, hyperv_vm: VirtualMachine) -> None:
    psdirect.ps(scripts.KEEP, "said before").check()
    hyperv_vm.restart()
    assert psdirect.ps(scripts.KEPT).check().one is None
    assert psdirect.ps(scripts.ECHO, "after").check().one == "after"
