"""A failed test tells of its machines: in files, on the terminal, in its report."""

from __future__ import annotations

import importlib.util
import json
import stat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.plugin.conftest import Bed

HAS_XDIST = importlib.util.find_spec("xdist") is not None
FAILING = """
    def test_asserts(hyperv_vm):
        hyperv_vm.run(["echo", "said before"])
        assert hyperv_vm.run(["sh", "-c", "echo the reason >&2; exit 3"])

    def test_dies(hyperv_vm):
        hyperv_vm.sh("echo last words")
        hyperv_vm.run(["die"])

    def test_passes(hyperv_vm):
        assert hyperv_vm.run(["true"])
"""
STORIES = """
    import json, pathlib, pytest

    def pytest_runtest_logreport(report):
        if hasattr(report, "hyperv_stories"):
            with pathlib.Path("stories.jsonl").open("a") as file:
                file.write(json.dumps([report.nodeid, report.when, report.hyperv_stories]) + "\\n")
"""


def folders(bed: Bed) -> dict[str, Path]:
    """The folder of each machine that left evidence, by the beginning of its test's name."""
    root = bed.path / "hyperv-artifacts"
    return {path.parent.name.rpartition("-")[0].partition("py-")[2]: path for path in root.glob("*/*")}


def stories(bed: Bed) -> dict[str, list[dict[str, Any]]]:
    """The stories that reached the process with the terminal, by test."""
    told = [json.loads(line) for line in (bed.path / "stories.jsonl").read_text().splitlines()]
    return {nodeid.rpartition("::")[2]: found for nodeid, _, found in told}


@pytest.mark.parametrize("options", [[], *([["-n2"]] if HAS_XDIST else [])], ids=["here", "in workers"])
def test_a_failed_test_leaves_what_its_machine_showed(bed: Bed, options: list[str]) -> None:
    bed.suite(STORIES, "conftest.py")
    bed.suite(FAILING)
    result = bed.run(*options, "--junitxml=junit.xml")
    result.assert_outcomes(failed=2, passed=1)
    found = folders(bed)
    assert sorted(found) == ["test_asserts", "test_dies"]
    names = {"console.log", "facts.json", "screen.png", "transcript.log"}
    assert {path.name for path in found["test_asserts"].iterdir()} == names
    assert {path.name for path in found["test_dies"].iterdir()} == names | {"crash.log"}
    transcript = (found["test_asserts"] / "transcript.log").read_text()
    assert "run `echo 'said before'`\n=> returned 0 after " in transcript
    assert "=> returned 3 after " in transcript
    assert "stderr (11 bytes):\n  | the reason" in transcript
    assert "Kernel panic - not syncing: asked to" in (found["test_dies"] / "console.log").read_text()
    facts = json.loads((found["test_dies"] / "facts.json").read_text())
    assert facts["test"]["outcome"] == "crash"
    assert facts["machine"]["state"] == "running"
    assert facts["spec"]["memory"] == 512 * 1024 * 1024
    told = stories(bed)
    assert {name: [story["outcome"] for story in found] for name, found in told.items()} == {
        "test_asserts": ["assertion"],
        "test_dies": ["crash"],
        "test_passes": [""],
    }
    for story in (*told["test_asserts"], *told["test_dies"]):
        assert all((bed.path / "hyperv-artifacts" / exhibit["path"]).is_file() for exhibit in story["exhibits"])
    assert told["test_passes"][0]["exhibits"] == []
    result.stdout.fnmatch_lines(
        ["*- hyperv evidence -*", "fake-* (qemu machine of debian-12)", "evidence: hyperv-art*"]
    )
    result.stdout.fnmatch_lines(["crash: Kernel panic - not syncing: asked to"])
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_dies - [[]guest crash[]]*"])


def test_the_evidence_is_for_this_user_alone(bed: Bed) -> None:
    bed.suite("def test_it(hyperv_vm): assert 0")
    bed.run()
    (folder,) = folders(bed).values()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(("when", "left"), [("always", 2), ("failed", 1), ("never", 0)])
def test_evidence_is_taken_when_it_is_wanted(bed: Bed, when: str, left: int) -> None:
    bed.suite("def test_good(hyperv_vm): pass\ndef test_bad(hyperv_vm): assert 0")
    bed.run(f"--hyperv-evidence={when}", "--hyperv-artifacts=kept/here")
    assert len(list((bed.path / "kept" / "here").glob("*/*/facts.json"))) == left
    assert (bed.path / "kept").exists() is (left > 0)


def properties(path: Path) -> dict[str, dict[str, list[str]]]:
    """The properties of each test in a JUnit file."""
    return {
        case.attrib["name"]: {
            each.attrib["name"]: [
                one.attrib["value"] for one in case.iter("property") if one.attrib["name"] == each.attrib["name"]
            ]
            for each in case.iter("property")
        }
        for case in ElementTree.parse(path).iter("testcase")
    }


OUTCOMES = """
    from pytest_hyperv import errors

    def test_assertion(hyperv_vm): assert hyperv_vm.run(["false"])

    def test_crash(hyperv_vm): hyperv_vm.run(["die"])

    def test_crash_that_no_call_told(hyperv_vm):
        hyperv_vm._machine.session.run(["true"])
        try:
            hyperv_vm._machine.session.run(["die"])
        except errors.GuestCrashed:
            pass
        assert 0

    def test_assertion_after_a_crash_that_was_wanted(hyperv_vm):
        with pytest.raises(errors.GuestCrashed):
            hyperv_vm.run(["die"])
        assert 0

    def test_timeout(hyperv_vm): hyperv_vm.run(["sleep", "60"], timeout=0.1)

    def test_timeout_that_became_an_assertion(hyperv_vm):
        try:
            hyperv_vm.run(["sleep", "60"], timeout=0.1)
        except errors.CommandTimeout:
            assert 0

    def test_infrastructure(hyperv_vm): raise errors.HostUnreachable("the host is gone")
"""


@pytest.mark.parametrize("options", [[], *([["-n2"]] if HAS_XDIST else [])], ids=["here", "in workers"])
def test_the_outcomes_are_told_apart(bed: Bed, options: list[str]) -> None:
    bed.suite(OUTCOMES)
    result = bed.run(*options, "--junitxml=junit.xml")
    result.assert_outcomes(failed=6, errors=1)
    told = properties(bed.path / "junit.xml")
    assert len(told) == 7
    for name, found in told.items():
        assert name.startswith(f"test_{found['hyperv_outcome'][0]}"), name
        assert len(found["hyperv_machine"]) == len(found["hyperv_evidence"]) == 1
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_timeout - [[]time-out[]]*"])
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_infrastructure - [[]infrastructure[]]*"])


def test_a_machine_that_cannot_be_made_is_an_error_of_the_infrastructure(bed: Bed) -> None:
    from tests.plugin.fake_backend import Script

    bed.script(Script(faults={"clone": {"1": "HostError"}}))
    bed.suite("def test_it(hyperv_vm): pass")
    bed.run("--junitxml=junit.xml").assert_outcomes(errors=1)
    assert properties(bed.path / "junit.xml") == {"test_it": {"hyperv_outcome": ["infrastructure"]}}
    assert not (bed.path / "hyperv-artifacts").exists()
