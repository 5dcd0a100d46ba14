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

WITH_XDIST = pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
ALONE_AND_IN_WORKERS = pytest.mark.parametrize(
    "options", [pytest.param([], id="here"), pytest.param(["-n2"], id="in workers", marks=WITH_XDIST)]
)
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

TWICE = """
    from _pytest.runner import runtestprotocol

    def pytest_runtest_protocol(item, nextitem):
        for _ in range(2):
            for report in runtestprotocol(item, nextitem=nextitem, log=False):
                item.ihook.pytest_runtest_logreport(report=report)
        return True
"""
"""A conftest that runs each test twice, as plugins do that try again."""


def folders(bed: Bed) -> dict[str, Path]:
    """The folder of each machine that left evidence, by the beginning of its test's name."""
    root = bed.path / "hyperv-artifacts"
    return {path.parent.name.rpartition("-")[0].partition("py-")[2]: path for path in root.glob("*/*")}


def stories(bed: Bed) -> dict[str, list[dict[str, Any]]]:
    """The stories that reached the process with the terminal, by test."""
    told = [json.loads(line) for line in (bed.path / "stories.jsonl").read_text().splitlines()]
    return {nodeid.rpartition("::")[2]: found for nodeid, _, found in told}


@ALONE_AND_IN_WORKERS
def test_a_failed_test_leaves_what_its_machine_showed(bed: Bed, options: list[str]) -> None:
    bed.suite(STORIES, "conftest.py")
    bed.suite(FAILING)
    result = bed.run(*options, "--junitxml=junit.xml")
    result.assert_outcomes(failed=2, passed=1)
    found = folders(bed)
    assert sorted(found) == ["test_asserts", "test_dies"]
    names = {"console.log", "facts.json", "screen.png", "transcript.log"}
    assert {path.name for path in found["test_asserts"].iterdir()} == names | {"journal.log"}
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


def test_what_only_a_living_guest_tells_is_there_too(bed: Bed) -> None:
    bed.suite(
        r"""
        import json

        @hyperv(evidence=["app.log", "missing", "logs", "/dev/zero"])
        def test_it(hyperv_vm):
            entry = {"__REALTIME_TIMESTAMP": "1000000", "MESSAGE": "out of luck", "SYSLOG_IDENTIFIER": "app"}
            hyperv_vm.write_text("journal", json.dumps(entry))
            hyperv_vm.write_text("app.log", "the application's own words")
            hyperv_vm.write_text("logs/deep/one.py", "import os")
            assert 0
        """
    )
    result = bed.run()
    (folder,) = folders(bed).values()
    assert (folder / "journal.log").read_text() == "1970-01-01T00:00:01.000+00:00 information app: out of luck\n"
    assert (folder / "01-01-app.log").read_text() == "the application's own words"
    assert (folder / "03-01-logs-one.py.data").read_text() == "import os"
    result.stdout.fnmatch_lines(["no missing: missing does not exist in the guest"])
    result.stdout.fnmatch_lines(["no /dev/zero: /dev/zero is neither a file nor a folder"])


def test_a_folder_with_more_files_than_are_taken_says_so_and_an_empty_one_too(bed: Bed) -> None:
    bed.suite(
        """
        @hyperv(evidence=["many", "none"])
        def test_it(hyperv_vm):
            hyperv_vm.sh("mkdir many none; cd many; seq 120 | xargs touch").check()
            assert 0
        """
    )
    result = bed.run()
    (folder,) = folders(bed).values()
    assert len(list(folder.glob("01-*"))) == 101
    assert "many holds more: 100 files" in (folder / "01-101-left-out.log").read_text()
    result.stdout.fnmatch_lines(["no none: the folder holds no files"])


def test_a_dump_is_taken_of_a_crashed_guest_when_it_is_asked_for(bed: Bed) -> None:
    bed.suite("def test_dies(hyperv_vm): hyperv_vm.run(['die'])\ndef test_fails(hyperv_vm): assert 0")
    bed.run("--hyperv-dump")
    found = folders(bed)
    assert (found["test_dies"] / "memory.dump").read_bytes() == b"KDUMP   "
    assert not (found["test_fails"] / "memory.dump").exists()
    bed.run()
    assert not (folders(bed)["test_dies"] / "memory.dump").exists()


def test_a_guest_that_hangs_holds_nothing_up_and_the_rest_is_kept(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_hyperv.collecting.EACH", 0.2)
    bed.suite(
        """
        @hyperv(evidence=["app.log"])
        def test_it(hyperv_vm):
            hyperv_vm.run(["hang"])
            assert 0
        """
    )
    result = bed.run()
    result.assert_outcomes(failed=1)
    (folder,) = folders(bed).values()
    assert {path.name for path in folder.iterdir()} == {"facts.json", "transcript.log"}
    missing = json.loads((folder / "facts.json").read_text())["missing"]
    assert [what.partition(":")[0] for what in missing] == ["screenshot", "console", "journal", "app.log"]
    assert bed.left() == []


def test_evidence_that_goes_wrong_leaves_the_failure_as_it_was(bed: Bed) -> None:
    (bed.path / "hyperv-artifacts").write_text("a file is in the way")
    bed.suite("def test_it(hyperv_vm): assert 1 == 2")
    result = bed.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["no facts: facts.json could not be*", "FAILED test_it.py::test_it - assert 1 == 2"])


def test_each_test_with_a_shared_machine_tells_of_its_own_time(bed: Bed) -> None:
    bed.suite(
        """
        pytestmark = hyperv(reset="module")

        def test_first(hyperv_vm):
            hyperv_vm.write_text("console", "said in the first\\n")
            hyperv_vm.run(["echo", "one"])

        def test_second(hyperv_vm, hyperv_vm_factory):
            hyperv_vm.sh("echo said in the second >>console")
            hyperv_vm_factory(2)
            assert 0
        """
    )
    bed.run().assert_outcomes(passed=1, failed=1)
    found = list((bed.path / "hyperv-artifacts").glob("*test_second*/*"))
    assert len(found) == 3
    (shared,) = [path for path in found if (path / "console.log").read_text()]
    assert (shared / "console.log").read_text() == "said in the second\n"
    assert "one" not in (shared / "transcript.log").read_text()


def test_secrets_are_in_nothing_that_is_kept(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "tok-5f2b9c")
    bed.suite(
        """
        from pytest_hyperv.psrp.secret import Secret
        HELD = Secret("held-pa55word")

        @hyperv(evidence=["conf"])
        def test_it(hyperv_vm):
            hyperv_vm.write_text("console", "token tok-5f2b9c, logged in with held-pa55word")
            hyperv_vm.write_text("conf", "token=tok-5f2b9c")
            variables = {"APP_PASSWORD": "s3cr3t-env"}
            hyperv_vm.run(["sh", "-c", "echo $APP_PASSWORD; cat"], env=variables, input="from-stdin")
            hyperv_vm.checkpoint("tok-5f2b9c")
            hyperv_vm.run(["sh", "-c", "die held-pa55word"]).check()
        """
    )
    bed.run()
    kept = b"".join(path.read_bytes() for path in (bed.path / "hyperv-artifacts").rglob("*") if path.is_file())
    for secret in (b"tok-5f2b9c", b"held-pa55word", b"s3cr3t-env"):
        assert secret not in kept
    assert b"with APP_PASSWORD set with 10 bytes of input" in kept
    assert b"token=**********" in kept


HOSTILE = r"""
    import random

    @hyperv(evidence=["../../escaped", "/etc/hostname", "-rf", "\x1b[2J\n", "conftest.py", "link", "tree"])
    def test_it(hyperv_vm):
        noise = random.Random(7).randbytes(300_000) + b"\x1b[2J\x1b]0;owned\x07\x9b31m\xff\xfe\x00"
        for name in ("console", "screen", "noise", "-rf", "\x1b[2J\n", "conftest.py"):
            hyperv_vm.write_bytes(name, noise)
        hyperv_vm.write_bytes("journal", noise + b'\n{"MESSAGE": "\\u001b[2Jowned", "__REALTIME_TIMESTAMP": "1"}')
        hyperv_vm.sh("ln -s /etc/passwd link; mkdir -p tree/a; ln -s / tree/up; mkfifo tree/fifo; cp noise tree/a/x.py")
        hyperv_vm.run(["cat", "noise"])
        hyperv_vm.run(["printf", "\033[2J\033]0;owned\007%s", "\x1b[31m"])
        assert hyperv_vm.run(["sh", "-c", "cat noise >&2; exit 1"]).check()
"""


def test_a_hostile_guest_writes_nowhere_else_and_commands_no_terminal(bed: Bed) -> None:
    bed.suite(HOSTILE)
    result = bed.run_apart("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    ours = ("hyperv-artifacts", "__pycache__", "test_it.py", "runpytest-0", "runpytest-current", "stdout", "stderr")
    assert {path.name for path in bed.path.iterdir()} <= set(ours)
    kept = list((bed.path / "hyperv-artifacts").rglob("*"))
    assert all(not path.is_symlink() and (path.is_dir() or path.is_file()) for path in kept)
    for path in kept:
        if path.suffix == ".log" and not path.name[:2].isdigit():
            assert not {each for each in path.read_text("utf-8") if ord(each) < 32 and each not in "\n\t"}, path
    assert not {each for each in result.stdout.str() if ord(each) < 32 and each not in "\n\t"}
    assert "owned" in result.stdout.str()


def test_the_next_run_collects_nothing_of_the_evidence(bed: Bed) -> None:
    bed.suite(HOSTILE)
    bed.run_apart()
    result = bed.run_apart("--collect-only", "-q", "hyperv-artifacts", "--doctest-glob=*.txt")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


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


@ALONE_AND_IN_WORKERS
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


def test_pytest_html_shows_the_text_and_links_to_the_files(bed: Bed) -> None:
    pytest.importorskip("pytest_html")
    bed.suite("def test_it(hyperv_vm): assert hyperv_vm.run(['false'])")
    bed.run("--html=pages/report.html")
    page = (bed.path / "pages" / "report.html").read_text()
    (folder,) = folders(bed).values()
    assert f"../hyperv-artifacts/{folder.parent.name}/{folder.name}/transcript.log" in page


def test_a_retry_keeps_the_evidence_of_both(bed: Bed) -> None:
    bed.suite(TWICE, "conftest.py")
    bed.suite("def test_it(hyperv_vm): assert hyperv_vm.run(['false'])")
    bed.run().assert_outcomes(failed=2)
    assert len(list((bed.path / "hyperv-artifacts").glob("*/*/facts.json"))) == 2


def test_a_machine_asked_for_by_name_leaves_its_evidence_too(bed: Bed) -> None:
    bed.suite("def test_it(request): assert request.getfixturevalue('hyperv_vm').run(['false'])")
    bed.run().assert_outcomes(failed=1)
    assert len(folders(bed)) == 1


def test_a_flood_costs_no_memory(bed: Bed) -> None:
    bed.suite(
        """
        import resource

        def test_it(hyperv_vm):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            flood = hyperv_vm.spawn(["sh", "-c", "yes | head -c 100000000"])
            size = 0
            while (piece := flood.read(timeout=60)) is not None:
                size += len(piece[1])
            assert flood.wait(timeout=60) == 0
            hyperv_vm.write_bytes("console", bytes(16_000_000))
            print("GREW", size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
            assert 0
        """
    )
    result = bed.run_apart()
    (told,) = [line.split() for line in result.outlines if line.startswith("GREW ")]
    assert told[1] == "100000000"
    assert int(told[2]) < 100 * 1024
    (folder,) = folders(bed).values()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8 * 1024 * 1024
