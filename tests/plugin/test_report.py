"""What a run tells on its page, from the tests' own processes to the file."""

from __future__ import annotations

import importlib.util
import json
import stat
from typing import Any

import pytest

from pytest_hyperv.report_page.rendering import data_of
from tests.plugin.conftest import Bed

needs_xdist = pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
MIXED = """
    from pytest_hyperv import hyperv_state

    @hyperv_state(base="debian-12")
    def installed(vm):
        vm.write_text("installed", "yes")

    @hyperv(state=installed)
    @pytest.mark.parametrize("n", range(3))
    def test_good(hyperv_vm, n): pass

    def test_wrong(hyperv_vm): assert hyperv_vm.run(["false"])
    def test_dies(hyperv_vm): hyperv_vm.run(["die"])
    def test_breaks(hyperv_vm): raise KeyError("key")
    def test_without_a_machine(): pass

    @pytest.mark.skip(reason="later")
    def test_later(): pass

    @pytest.mark.xfail(reason="known")
    def test_known(): raise ValueError

    @pytest.fixture
    def broken(): raise OSError("no disk")
    def test_unprepared(broken): pass
"""


def page_of(bed: Bed, *arguments: str) -> dict[str, Any]:
    """The data on the page of a run of the suite."""
    result = bed.run("--hyperv-report=out/report.html", *arguments)
    result.stdout.fnmatch_lines(["hyperv: the page of this run is out/report.html"])
    (run,) = data_of(bed.path / "out" / "report.html")
    return run


def by_name(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {test["id"].partition("::")[2]: test for test in run["tests"]}


@pytest.fixture(params=[[], pytest.param(["-n2"], marks=needs_xdist)], ids=["alone", "workers"])
def mixed(bed: Bed, request: pytest.FixtureRequest) -> dict[str, Any]:
    bed.suite(MIXED)
    return page_of(bed, *request.param)


def test_every_test_is_there_with_its_outcome_machine_state_and_reason(mixed: dict[str, Any]) -> None:
    tests = by_name(mixed)
    assert {name: (test["outcome"], test.get("kind", "")) for name, test in tests.items()} == {
        "test_good[0]": ("passed", ""),
        "test_good[1]": ("passed", ""),
        "test_good[2]": ("passed", ""),
        "test_wrong": ("failed", "assertion"),
        "test_dies": ("failed", "crash"),
        "test_breaks": ("failed", "exception"),
        "test_without_a_machine": ("passed", ""),
        "test_later": ("skipped", ""),
        "test_known": ("xfailed", ""),
        "test_unprepared": ("error", "exception"),
    }
    assert tests["test_good[0]"]["machines"][0].items() >= {"state": "installed", "image": "debian-12"}.items()
    assert tests["test_good[0]"]["machines"][0]["name"].startswith("fake-")
    assert "machines" not in tests["test_without_a_machine"]
    assert tests["test_breaks"]["why"] == "KeyError: 'key'"
    assert "raise KeyError" in tests["test_breaks"]["text"]
    assert tests["test_later"]["why"] == "later"


def test_the_timeline_tells_what_was_done_for_whom(mixed: dict[str, Any]) -> None:
    kinds = {span[0] for span in mixed["spans"]}
    assert kinds >= {"lease", "build", "clone", "discard"}
    leases = {span[7].partition("::")[2]: span for span in mixed["spans"] if span[0] == "lease"}
    assert leases.keys() >= {"test_good[0]", "test_wrong", "test_dies"}
    for name, test in by_name(mixed).items():
        for _, began, took in test["phases"]:
            assert -0.01 <= began <= began + took <= mixed["took"] + 0.01
        if name in leases:
            assert leases[name][5] == test["machines"][0]["name"]
            assert leases[name][3] == test["worker"]
    for worker in {test["worker"] for test in mixed["tests"]}:
        assert sum(mixed["accounts"][worker].values()) == pytest.approx(mixed["took"], abs=0.1)


def test_states_are_told_with_what_they_stand_on_and_were_used_for(mixed: dict[str, Any]) -> None:
    states = {state["name"]: state for state in mixed["states"]}
    assert states.keys() == {"debian-12", "installed"}
    assert states["installed"]["parent"] == states["debian-12"]["key"]
    assert states["installed"]["built"] == states["debian-12"]["built"] == 1
    assert states["installed"]["clones"] >= 3
    assert states["installed"]["size"] > 0


def test_evidence_is_taken_in(mixed: dict[str, Any]) -> None:
    (story,) = by_name(mixed)["test_dies"]["stories"]
    assert story["outcome"] == "crash"
    assert "asked to" in story["crash"]
    exhibits = {each["kind"]: each for each in story["exhibits"]}
    assert exhibits["screenshot"]["picture"] == "iVBORw0KGgo="
    assert exhibits["screenshot"]["link"].startswith("../hyperv-artifacts/")
    assert "die" in exhibits["transcript"]["text"]
    assert exhibits["console"]["marks"] == [0]
    assert "stories" not in by_name(mixed)["test_good[0]"] or by_name(mixed)["test_good[0]"]["stories"] == []


def test_the_page_is_for_its_user_alone_and_there_only_when_asked_for(bed: Bed) -> None:
    bed.suite("def test_it(): pass")
    bed.run("-q")
    assert not (bed.path / "out").exists()
    page_of(bed)
    page = bed.path / "out" / "report.html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert [path.name for path in page.parent.iterdir()] == [page.name]


def test_an_interrupted_run_has_a_page_too(bed: Bed) -> None:
    bed.suite("def test_a(): pass\ndef test_b(): raise KeyboardInterrupt\ndef test_c(): pass")
    result = bed.run_apart("--hyperv-report=report.html")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    (run,) = data_of(bed.path / "report.html")
    assert run["interrupted"]
    assert by_name(run)["test_a"]["outcome"] == "passed"


def test_what_cannot_be_collected_is_on_the_page(bed: Bed) -> None:
    bed.suite("import nowhere")
    run = page_of(bed)
    assert [(test["outcome"], test["kind"]) for test in run["tests"]] == [("error", "collection")]


def test_a_page_that_cannot_be_written_is_told_and_changes_nothing_else(bed: Bed) -> None:
    bed.suite("def test_it(): pass")
    (bed.path / "file").touch()
    result = bed.run("--hyperv-report=file/report.html")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["hyperv: the page could not be written to *file*report.html: *"])


@needs_xdist
def test_what_a_worker_did_before_it_was_lost_is_told(bed: Bed) -> None:
    bed.suite("def test_a(hyperv_vm): pass\ndef test_b():\n    import os\n    os._exit(3)\ndef test_c(hyperv_vm): pass")
    run = page_of(bed, "-n1")
    tests = by_name(run)
    assert tests["test_b"]["outcome"] == "failed"
    assert tests["test_b"]["kind"] == "worker"
    assert tests["test_c"]["outcome"] == "passed"
    assert {"test_a", "test_c"} <= {span[7].partition("::")[2] for span in run["spans"] if span[0] == "lease"}


def test_what_guests_and_tests_say_stays_text(bed: Bed) -> None:
    bed.suite(
        """
        SAID = "\\x1b[31m</script><img src=x onerror=alert(1)>\\x1b]0;title\\x07\\u2028"

        def test_it(hyperv_vm):
            print(SAID)
            assert hyperv_vm.run(["printf", "%s", SAID]).stdout == ""
        """
    )
    (test,) = page_of(bed)["tests"]
    page = (bed.path / "out" / "report.html").read_text("utf-8")
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert ["Captured stdout call", "</script><img src=x onerror=alert(1)>\\u2028\n"] in test["said"]
    (story,) = test["stories"]
    (transcript,) = [each for each in story["exhibits"] if each["kind"] == "transcript"]
    assert "</script><img src=x onerror=alert(1)>" in transcript["text"]
    assert "\x1b" not in json.dumps(test) + page
