"""What pytest's own options show of the plugin, and that they work with it."""

from __future__ import annotations

import importlib.util

import pytest

from pytest_hyperv.options import OPTIONS
from tests.plugin.conftest import Bed

HAS_XDIST = importlib.util.find_spec("xdist") is not None
BOTH = """
    @hyperv(cpus=2)
    def test_vm(hyperv_vm): assert hyperv_vm.sh("exit 0")

    @pytest.mark.nested_virtualization
    @pytest.mark.hyperv_requires("tpm")
    def test_gated(hyperv_vm): pass

    def test_plain(): pass
"""


def test_the_markers_are_listed(bed: Bed) -> None:
    lines = bed.run("--markers").outlines
    for name in ("hyperv(image=, ", "nested_virtualization: ", "hyperv_requires(*capabilities, "):
        assert any(line.startswith(f"@pytest.mark.{name}") for line in lines)


def test_help_names_every_option_and_every_ini_line_with_its_default(bed: Bed) -> None:
    result = bed.run("--help")
    text = " ".join(result.stdout.str().split())
    assert "virtual machines (pytest-hyperv):" in text
    for option in OPTIONS:
        assert option.flag_name in text
        assert f"hyperv_{option.name} (string):" in text
        assert text.count(f"{option.help}; default: {option.default or 'chosen for this user'}") == 2


def test_the_fixtures_are_listed_with_what_they_are(bed: Bed) -> None:
    lines = bed.run("--fixtures").outlines
    for name in ("hyperv_vm ", "hyperv_vm_factory ", "psdirect ", "hyperv_host [session scope] ", "hyperv_image "):
        (at,) = (number for number, line in enumerate(lines) if line.startswith(name))
        assert lines[at + 1].startswith("    ")
        assert "no docstring" not in lines[at + 1]


@pytest.mark.parametrize(
    "options",
    [
        ["-q"],
        ["-qq"],
        ["-v"],
        ["-s"],
        ["-p", "no:terminal"],
        ["-p", "no:capture"],
        ["-p", "no:cacheprovider"],
        ["--strict-markers"],
        ["--strict-config"],
        ["-W", "error"],
        ["--import-mode=importlib"],
        ["--tb=no"],
        ["-p", "no:xdist"],
        *([["-n2"], ["-n2", "--dist=loadscope"], ["-n0"]] if HAS_XDIST else []),
    ],
    ids=" ".join,
)
def test_a_run_passes_with(bed: Bed, pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makeini("[pytest]\nhyperv_spares = 0\n")
    bed.suite(BOTH)
    if options[-1] == "no:terminal":
        options = [*options, "--override-ini=addopts="]
        result = pytester.runpytest_inprocess("-p", "tests.plugin.fake_backend", *options)
    else:
        result = bed.run(*options)
    assert result.ret == pytest.ExitCode.OK
    assert sorted(bed.lent()) == ["test_it.py::test_gated", "test_it.py::test_vm"]
    assert bed.left() == []
    assert "Traceback" not in result.stderr.str()


def test_long_work_is_told_as_lines_but_not_when_quiet(bed: Bed) -> None:
    bed.suite(BOTH)
    assert "Building a fake state of debian-12: [1/1] writing it down" in bed.run().stdout.str()
    bed.suite(BOTH.replace("cpus=2", "cpus=3"))
    assert "Building" not in bed.run("-q").stdout.str()
    assert [event["purpose"] for event in bed.events("build")] == ["debian-12"] * 3


def test_collecting_makes_nothing(bed: Bed) -> None:
    bed.suite(BOTH)
    result = bed.run("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["test_it.py::test_vm", "test_it.py::test_gated", "test_it.py::test_plain"])
    assert bed.events() == []
    assert not (bed.cache / "machines").exists()


def test_an_unknown_marker_beside_ours_is_still_refused_by_strict_markers(bed: Bed) -> None:
    bed.suite("@pytest.mark.hyperv_require('tpm')\ndef test_it(): pass")
    result = bed.run("--strict-markers")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'hyperv_require' not found in `markers` configuration option"])


def test_an_unknown_ini_line_is_still_refused_by_strict_config(bed: Bed, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nhyperv_memroy = 1GiB\n")
    result = bed.run("--strict-config")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Unknown config option: hyperv_memroy*"])


def test_the_plugin_can_be_left_out(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite("def test_it(hyperv_vm): pass")
    result = pytester.runpytest_inprocess("-p", "no:hyperv")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'hyperv_vm' not found"])
