"""Settings as a run takes them: command line, environment, ini file, default, and where each one came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import Bed

SHOW = """
    def test_show(hyperv_vm):
        print("cpus", hyperv_vm.spec.cpus, "memory", hyperv_vm.spec.memory // 2**20)
"""


def header(result: pytest.RunResult) -> str:
    """The plugin's line above the tests."""
    (line,) = [line for line in result.outlines if line.startswith("hyperv: ") and "machine" not in line]
    return line


def test_the_nearest_place_wins_and_the_header_names_it(
    bed: Bed, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.suite(SHOW)
    result = bed.run()
    result.stdout.fnmatch_lines(["cpus 1 memory 512"])
    assert header(result) == f"hyperv: cache={bed.cache} (environment PYTEST_HYPERV_CACHE)"

    pytester.makeini("[pytest]\nhyperv_cpus = 2\nhyperv_memory = 256MiB\n")
    result = bed.run()
    result.stdout.fnmatch_lines(["cpus 2 memory 256"])
    assert "memory=256MiB (ini file), cpus=2 (ini file)" in header(result)

    monkeypatch.setenv("PYTEST_HYPERV_CPUS", "3")
    result = bed.run()
    result.stdout.fnmatch_lines(["cpus 3 memory 256"])
    assert "cpus=3 (environment PYTEST_HYPERV_CPUS)" in header(result)

    result = bed.run("--hyperv-cpus=4", "--hyperv-memory", "1GiB")
    result.stdout.fnmatch_lines(["cpus 4 memory 1024"])
    assert "memory=1GiB (command line), cpus=4 (command line)" in header(result)


def test_an_empty_variable_is_no_setting(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_CPUS", "")
    monkeypatch.delenv("PYTEST_HYPERV_CACHE")
    bed.suite("def test_it(): pass")
    assert header(bed.run()) == "hyperv: default settings"


def test_a_relative_cache_is_below_the_folder_pytest_was_started_in(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite("def test_it(): pass", "deep/test_it.py")
    assert f"cache={pytester.path / 'here'} (command line)" in header(bed.run("--hyperv-cache=here", "deep"))


WRONG = {
    "backend": ("vmware", "'vmware' is none of auto, hyperv, qemu", "the default is auto"),
    "memory": ("4 giggles", "'4 giggles' is no size", "the default is 512MiB"),
    "cpus": ("0", "'0' is no whole number of at least 1", "the default is 1"),
    "spares": ("-1", "'-1' is no whole number of at least 0", "the default is 1"),
    "host": ("winrm://admin:Pa55@hv01", "The address of a host holds no password", "one that belongs to a path as %40"),
    "psdirect": ("guest", "'guest' is none of host, native", "the default is host"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("place", ["command line", "environment", "ini file"])
def test_a_setting_that_cannot_be_used_ends_the_run_in_one_paragraph(
    bed: Bed, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, place: str
) -> None:
    value, reason, default = WRONG[name]
    bed.suite("def test_it(): pass")
    variable = f"PYTEST_HYPERV_{name.upper()}"
    if place == "environment":
        monkeypatch.setenv(variable, value)
    elif place == "ini file":
        pytester.makeini(f"[pytest]\nhyperv_{name} = {value}\n")
    result = bed.run(*([f"--hyperv-{name}={value}"] if place == "command line" else []))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = [line for line in result.errlines if line]
    origin = f"environment {variable}" if place == "environment" else place
    assert told[0].startswith(f"ERROR: --hyperv-{name} ({origin}): {reason}")
    assert told[1].startswith("Hint: ")
    assert told[1].endswith(f"{default}.")
    assert told[2:] == []
    assert "Pa55" not in result.stdout.str() + result.stderr.str()


def test_a_flag_is_read_in_words_and_refused_otherwise(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.suite("def test_it(): pass")
    monkeypatch.setenv("PYTEST_HYPERV_STRICT", "Yes")
    assert "strict=Yes (environment PYTEST_HYPERV_STRICT)" in header(bed.run())
    monkeypatch.setenv("PYTEST_HYPERV_STRICT", "maybe")
    result = bed.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --hyperv-strict (environment*): 'maybe' is neither true nor false"])


def test_a_wrong_setting_does_not_stand_in_the_way_of_help(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_CPUS", "none")
    result = bed.run("--help")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*--hyperv-cpus=N*"])


def test_a_cache_that_cannot_be_made_is_an_error_of_the_tests_that_need_it(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bed.suite("def test_vm(hyperv_vm): pass\n\ndef test_plain(): pass")
    result = bed.run(f"--hyperv-cache={tmp_path / 'file' / 'cache'}")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["SettingsError: The cache folder */file/cache cannot be used: File exists."])


def test_an_unknown_image_of_the_settings_is_an_error_in_one_paragraph(bed: Bed) -> None:
    bed.suite("def test_vm(hyperv_vm): pass")
    result = bed.run("--hyperv-image=debian-21")
    result.assert_outcomes(errors=1)
    output = result.stdout.str()
    assert "ImageError: There is no image named 'debian-21'.\nHint: Did you mean debian-12?" in output
    assert "Traceback" not in output
    assert "pytest_hyperv/" not in output
