"""Tests that this host cannot run are skipped where they stand, with every reason; strict runs fail them."""

from __future__ import annotations

import sys

import pytest

from pytest_hyperv.spec import GIB
from tests.plugin.conftest import Bed
from tests.plugin.fake_backend import Script

POOR = Script(missing={"tpm": "swtpm is not installed (run: setup)", "nested": "the processor has no VMX"}, memory=GIB)


def skips(result: pytest.RunResult) -> list[str]:
    """The lines of the summary that tell of skipped tests."""
    return [line for line in result.outlines if line.startswith("SKIPPED [")]


def test_every_unmet_need_is_named_at_the_line_of_the_test(bed: Bed) -> None:
    bed.script(POOR)
    bed.suite(
        """
        def test_plain(): pass

        @pytest.mark.nested_virtualization
        @hyperv(tpm=True, memory="2GiB")
        @pytest.mark.hyperv_requires("uefi", cpus=64, disk="1TiB", os="windows", host="client")
        def test_much(hyperv_vm): pass
        """
    )
    result = bed.run()
    result.assert_outcomes(passed=1, skipped=1)
    assert skips(result) == [
        "SKIPPED [1] test_it.py:6: this host cannot: nested: the processor has no VMX; tpm: swtpm is not installed "
        "(run: setup); memory: 2.0 GiB needed, the host has 1.0 GiB; cpus: 64 needed, the host has 8; disk: 1048576 "
        "MiB needed, 65536 MiB are free; os: a windows host is needed, this one is linux; host: a client host is "
        "needed, this one is server"
    ]
    assert bed.lent() == []


def test_a_skip_is_found_from_the_folder_pytest_was_started_in(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.script(POOR)
    bed.suite("@hyperv(tpm=True)\ndef test_it(hyperv_vm): pass", "deep/test_it.py")
    pytester.makeini("[pytest]\n")
    pytester.mkdir("elsewhere")
    with pytest.MonkeyPatch.context() as context:
        context.chdir(pytester.path / "elsewhere")
        (line,) = skips(bed.run("../deep"))
    assert line.startswith("SKIPPED [1] ../deep/test_it.py:4: this host cannot: tpm: ")


def test_the_skips_of_the_tests_themselves_stay_where_they_are(bed: Bed) -> None:
    bed.suite(
        """
        def test_it(hyperv_vm):
            if hyperv_vm.sh("true"):
                pytest.skip("not today")
        """
    )
    result = bed.run()
    result.assert_outcomes(skipped=1)
    assert skips(result) == ["SKIPPED [1] test_it.py:6: not today"]


def test_a_requirement_gates_a_test_that_takes_no_machine(bed: Bed) -> None:
    bed.script(POOR)
    bed.suite("@pytest.mark.hyperv_requires('tpm')\ndef test_it(): pass")
    bed.run().assert_outcomes(skipped=1)


@pytest.mark.parametrize("how", ["command line", "environment", "ini file"])
def test_strict_runs_fail_instead(
    bed: Bed, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    bed.script(POOR)
    bed.suite("@hyperv(tpm=True)\ndef test_it(hyperv_vm): pass")
    if how == "environment":
        monkeypatch.setenv("PYTEST_HYPERV_STRICT", "1")
    if how == "ini file":
        pytester.makeini("[pytest]\nhyperv_strict = true\n")
    result = bed.run(*(["--hyperv-strict"] if how == "command line" else []))
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    output = result.stdout.str()
    assert "requirements not met (--hyperv-strict): tpm: swtpm is not installed (run: setup)" in output
    assert "lab.py" not in output


@pytest.mark.skipif(sys.platform == "win32", reason="there the backend exists")
def test_a_backend_that_is_not_of_this_system_is_a_reason_to_skip(bed: Bed) -> None:
    bed.suite("@hyperv(backend='hyperv')\ndef test_a(hyperv_vm): pass\n\ndef test_b(hyperv_vm): pass")
    reason = "this host cannot: backend hyperv: this Linux is no Hyper-V host: powershell.exe is on PATH"
    result = bed.run()
    result.assert_outcomes(passed=1, skipped=1)
    (line,) = skips(result)
    assert line.startswith(f"SKIPPED [1] test_it.py:4: {reason}")
    result = bed.run("--hyperv-backend=hyperv")
    result.assert_outcomes(skipped=2)
    result = bed.run("--hyperv-backend=hyperv", "--hyperv-strict")
    result.assert_outcomes(errors=2)


def test_a_test_says_its_own_backend_against_the_setting(bed: Bed) -> None:
    bed.suite("@hyperv(backend='qemu')\ndef test_it(hyperv_vm): assert hyperv_vm.backend == 'qemu'")
    bed.run("--hyperv-backend=hyperv").assert_outcomes(passed=1)


def test_a_host_fixture_on_a_host_without_its_backend_is_told_in_one_paragraph(bed: Bed) -> None:
    bed.suite("def test_it(hyperv_host): assert hyperv_host.facts.cpus == 8")
    bed.run().assert_outcomes(passed=1)
    result = bed.run("--hyperv-backend=hyperv")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*this Linux is no Hyper-V host*"])
