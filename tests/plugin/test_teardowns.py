"""A teardown that fails is told like a test that fails: its machines live until all of it is over."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_hyperv.ledger import Ledger
from tests.plugin.conftest import PLUGINS, Bed
from tests.plugin.fake_backend import JOURNAL, Script
from tests.plugin.test_evidence import ALONE_AND_IN_WORKERS, TWICE

FAILING = """
    @pytest.fixture
    def service(hyperv_vm):
        yield
        assert hyperv_vm.run(["sh", "-c", "echo still loaded >&2; exit 3"])

    def test_it(service): pass
"""


def facts(bed: Bed) -> list[dict[str, Any]]:
    """What the evidence of each machine says of its test, in the order of the folders' names."""
    found = sorted((bed.path / "hyperv-artifacts").glob("*/*/facts.json"))
    return [json.loads(path.read_text())["test"] for path in found]


def folder(bed: Bed) -> Path:
    (found,) = (bed.path / "hyperv-artifacts").glob("*/*")
    return found


def told_in_junit(bed: Bed) -> str | None:
    """The outcome that the report for machines tells of the one test."""
    (case,) = ElementTree.parse(bed.path / "junit.xml").getroot().iter("testcase")
    return {each.get("name"): each.get("value") for each in case.iter("property")}["hyperv_outcome"]


@ALONE_AND_IN_WORKERS
def test_its_evidence_is_taken_while_the_machine_lives(bed: Bed, options: list[str]) -> None:
    bed.suite(FAILING)
    result = bed.run(*options, "--junitxml=junit.xml")
    result.assert_outcomes(passed=1, errors=1)
    (told,) = facts(bed)
    assert (told["phase"], told["outcome"]) == ("teardown", "assertion")
    assert "returned 3" in told["error"]
    assert "  | still loaded" in (folder(bed) / "transcript.log").read_text()
    assert (folder(bed) / "screen.png").is_file()
    assert (folder(bed) / "journal.log").is_file()
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_it*", "*hyperv evidence*", f"evidence: *{folder(bed).name} (*"]
    )
    assert told_in_junit(bed) == "assertion"
    assert bed.left() == []


def test_a_fixture_that_was_there_before_the_machine_fails_while_it_lives_too(bed: Bed) -> None:
    bed.suite(
        f"""
        from pathlib import Path
        from pytest_hyperv.lab import lab_of

        @pytest.fixture
        def server(request):
            yield
            lab_of(request.config).pool("qemu").settle()
            assert "discard" not in Path({str(bed.cache / JOURNAL)!r}).read_text()
            raise RuntimeError("the server on this side")

        def test_it(server, hyperv_vm):
            hyperv_vm.run(["echo", "said"])
        """
    )
    bed.run().assert_outcomes(passed=1, errors=1)
    assert [told["error"] for told in facts(bed)] == ["RuntimeError: the server on this side"]
    assert bed.left() == []


def test_a_guest_that_dies_in_it_is_told_apart(bed: Bed) -> None:
    bed.suite(
        """
        @pytest.fixture
        def service(hyperv_vm):
            yield
            hyperv_vm.run(["die"])

        def test_it(service): pass
        """
    )
    result = bed.run()
    result.assert_outcomes(passed=1, errors=1)
    assert [told["outcome"] for told in facts(bed)] == ["crash"]
    assert "Kernel panic" in (folder(bed) / "crash.log").read_text()


def test_the_machine_of_a_class_lives_as_long_as_the_fixtures_of_the_class(bed: Bed) -> None:
    bed.suite(
        """
        @hyperv(reset="class")
        class TestAll:
            @pytest.fixture(scope="class")
            def seen(self):
                machines = []
                yield machines
                machines[0].run(["false"]).check()

            def test_one(self, hyperv_vm, seen): seen.append(hyperv_vm)
            def test_two(self, hyperv_vm): pass
        """
    )
    bed.run().assert_outcomes(passed=2, errors=1)
    (told,) = facts(bed)
    assert (told["nodeid"], told["phase"]) == ("test_it.py::TestAll::test_two", "teardown")
    assert "run `false`" in (folder(bed) / "transcript.log").read_text()
    assert bed.left() == []


def test_a_test_that_failed_before_is_not_told_twice(bed: Bed) -> None:
    bed.suite(FAILING.replace("pass", "assert 0"))
    bed.run("--hyperv-keep=failed").assert_outcomes(failed=1, errors=1)
    assert [told["phase"] for told in facts(bed)] == ["call"]


def test_what_was_told_of_a_try_is_not_told_of_the_next(bed: Bed) -> None:
    bed.suite(TWICE, "conftest.py")
    bed.suite(
        """
        import pathlib

        @pytest.fixture
        def service(hyperv_vm):
            yield
            if not pathlib.Path("again").exists():
                pathlib.Path("again").touch()
                raise RuntimeError("only once")

        def test_it(service): pass
        """
    )
    result = bed.run()
    result.assert_outcomes(passed=2, errors=1)
    assert [told["error"] for told in facts(bed)] == ["RuntimeError: only once"]


@pytest.mark.parametrize(("keep", "kept"), [("failed", ["test_it.py::test_it failed"]), ("none", [])])
def test_its_machine_is_kept_like_that_of_a_failed_test(bed: Bed, keep: str, kept: list[str]) -> None:
    bed.suite(FAILING)
    result = bed.run(f"--hyperv-keep={keep}")
    assert [record.kept for record in Ledger(bed.cache / "machines").records() if record.kept] == kept
    told = [line for line in result.outlines if line.startswith("to enter it: pytest-hyperv shell")]
    assert len(told) == len(kept)


def test_a_debugger_that_comes_when_it_is_over_leads_into_no_machine_that_is_gone(
    bed: Bed, pytester: pytest.Pytester
) -> None:
    bed.suite(FAILING)
    run = pytester.run(sys.executable, "-m", "pytest", *PLUGINS, "--pdb", stdin=b"q\n")
    run.stdout.fnmatch_lines(["*(Pdb)*"])
    assert "to enter" not in run.stdout.str()
    assert [event["event"] for event in bed.events("let_in", "discard")] == ["discard"]


@pytest.mark.parametrize("end", ["pytest.skip('enough')", "raise KeyboardInterrupt", "pytest.exit('enough')"])
def test_what_is_no_failure_leaves_no_evidence_and_no_machine(bed: Bed, end: str) -> None:
    bed.suite(
        f"""
        @pytest.fixture
        def service(hyperv_vm):
            yield
            {end}

        def test_it(service): pass
        """
    )
    bed.run_apart("--hyperv-keep=failed")
    assert len(bed.events("clone")) == len(bed.events("discard")) == 1
    assert not (bed.path / "hyperv-artifacts").exists()
    assert bed.left() == []


def test_never_means_never(bed: Bed) -> None:
    bed.suite(FAILING)
    bed.run("--hyperv-evidence=never").assert_outcomes(passed=1, errors=1)
    assert not (bed.path / "hyperv-artifacts").exists()


@pytest.mark.parametrize(
    ("end", "outcome"), [("pass", "infrastructure"), ("raise RuntimeError('the first of two')", "assertion")]
)
def test_a_machine_that_cannot_go_is_told_beside_what_failed_before(bed: Bed, end: str, outcome: str) -> None:
    bed.script(Script(faults={"network-end": {"every": "HostError"}}))
    bed.suite(
        f"""
        @pytest.fixture
        def service(hyperv_vm):
            yield
            {end}

        @hyperv(network="private")
        def test_it(service): pass
        """
    )
    result = bed.run("--junitxml=junit.xml")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the script has network-end fail*"])
    assert told_in_junit(bed) == outcome
    assert ("the first of two" in result.stdout.str()) == (end != "pass")
