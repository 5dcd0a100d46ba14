"""What a person sees in the terminal besides pytest's own: a header line, progress, and what there is to say."""

from __future__ import annotations

import importlib.util
import os
import pty
import subprocess
import sys

import pytest

from tests.plugin.conftest import PLUGINS, Bed
from tests.plugin.fake_backend import Script

needs_xdist = pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
ANNOUNCED = "Building a fake state of debian-12 ..."
STEP = "Building a fake state of debian-12: [[]1/1[]] writing it down (0 s)"
ONE = "def test_it(hyperv_vm, capfd): print('kept from the terminal')"


def everything(result: pytest.RunResult) -> str:
    return result.stdout.str() + result.stderr.str()


def test_a_log_gets_progress_as_lines(bed: Bed) -> None:
    bed.suite(ONE)
    result = bed.run_apart()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*", ANNOUNCED, STEP, "Building a fake state of debian-12: done in 0.0 s"])


@pytest.mark.parametrize("options", [["-q"], ["-p", "no:terminal"]], ids=["quiet", "no terminal"])
@pytest.mark.parametrize("workers", [[], pytest.param(["-n1"], marks=needs_xdist)], ids=["alone", "worker"])
def test_who_wants_to_hear_nothing_hears_nothing(bed: Bed, options: list[str], workers: list[str]) -> None:
    bed.suite(ONE)
    command = [sys.executable, "-m", "pytest", *PLUGINS, *options, *workers]
    result = subprocess.run(command, cwd=bed.path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert "Building" not in result.stdout + result.stderr
    assert len(bed.events("build")) == 1


@needs_xdist
def test_workers_are_heard_too(bed: Bed) -> None:
    bed.suite(ONE)
    result = bed.run_apart("-n1")
    result.assert_outcomes(passed=1)
    assert ANNOUNCED in everything(result)
    assert "kept from the terminal" not in result.stderr.str()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_terminal_gets_a_bar(bed: Bed) -> None:
    bed.suite(ONE)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", *PLUGINS, "-p", "no:cacheprovider"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "PYTHONUTF8": "1"}
    with subprocess.Popen(command, cwd=bed.path, stdout=theirs, stderr=theirs, env=environment) as run:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:  # how a terminal ends
            pass
        finally:
            os.close(ours)
        assert run.wait(60) == 0
    text = said.decode("utf-8", "replace")
    assert "Building a fake state of debian-12" in text
    assert "━" in text
    assert ANNOUNCED not in text


def test_the_header_is_one_line_that_names_what_was_set(bed: Bed) -> None:
    bed.suite("def test_it(): pass")
    header = [line for line in bed.run("--hyperv-memory=1GiB").outlines if line.startswith("hyperv: ")]
    assert len(header) == 1
    assert "memory=1GiB (command line)" in header[0]


def test_nothing_is_asked_of_a_host_for_the_header(bed: Bed) -> None:
    bed.script(Script(faults={"offer": {"1": "HostError"}}))
    bed.suite("def test_it(): pass")
    bed.run().assert_outcomes(passed=1)
    assert bed.events() == []


def test_skipped_tests_are_counted_by_what_the_host_cannot_do(bed: Bed) -> None:
    bed.script(Script(missing={"nested": "no virtualization", "tpm": "no swtpm"}))
    bed.suite(
        """
        @pytest.mark.nested_virtualization
        @pytest.mark.parametrize("n", range(3))
        def test_inner(hyperv_vm, n): pass

        @hyperv(tpm=True)
        def test_measured(hyperv_vm): pass

        @pytest.mark.skip(reason="later")
        def test_later(hyperv_vm): pass

        def test_it(hyperv_vm): pass
        """
    )
    result = bed.run("-q")
    result.assert_outcomes(passed=1, skipped=5)
    result.stdout.fnmatch_lines(
        [
            "hyperv: 4 tests skipped, for this host cannot:",
            "     3 nested: no virtualization",
            "     1 tpm: no swtpm",
        ],
        consecutive=True,
    )


def test_a_traceback_ends_where_the_test_called_this_package(bed: Bed) -> None:
    bed.suite("def test_it(hyperv_vm):\n    hyperv_vm.run(['false']).check()")
    said = bed.run("--tb=short").stdout.str()
    assert "test_it.py:5: in test_it" in said
    assert "CommandFailed: " in said
    assert "guest.py" not in said
    assert "guest.py" in bed.run("--full-trace").stdout.str()
