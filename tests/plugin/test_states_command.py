"""``pytest-hyperv states build``, and the limit that a run keeps to."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from pytest_hyperv.spec import MIB
from tests.plugin.conftest import Bed
from tests.plugin.fake_backend import Script

FAKE = ("-p", "tests.plugin.fake_backend")
SUITE = """
    import os
    from pytest_hyperv import hyperv_state

    @hyperv_state(base="debian-12")
    def one(vm): vm.write_bytes("one", os.urandom(4 * 2**20))

    @hyperv_state(base=one)
    def two(vm): vm.write_text("two", "")

    @hyperv_state(base=one)
    def broken(vm): vm.sh("exit 3").check()

    @hyperv(state=two)
    @pytest.mark.parametrize("n", range(3))
    def test_two(hyperv_vm, n): pass

    @hyperv(state=broken)
    def test_broken(hyperv_vm): pass

    @hyperv(state=one, tpm=True)
    def test_tpm(hyperv_vm): pass

    def test_plain(hyperv_vm): pass

    def test_none(): pass
"""


def states(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the command in a process of its own."""
    return pytester.run(sys.executable, "-c", "from pytest_hyperv.cli import main; main()", "states", *arguments)


def build(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Build states on fake machines."""
    return states(pytester, "build", *arguments, *FAKE)


def saved(bed: Bed) -> list[str]:
    """The names of the states there are."""
    records = [json.loads(path.read_text()) for path in (bed.cache / "states").glob("*/state.json")]
    return sorted(record["name"] for record in records)


def test_the_states_of_chosen_tests_are_built_and_no_test_runs(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite(SUITE)
    result = build(pytester, "-k", "two or plain")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["two (512 MiB, 1 CPU): there", "debian-12 (512 MiB, 1 CPU): there"])
    assert saved(bed) == ["debian-12", "one", "two"]
    assert [event["purpose"] for event in bed.events("clone")] == ["state one", "state two"]
    assert bed.left() == []
    bed.run("-k", "two").assert_outcomes(passed=3, deselected=4)
    assert len(bed.events("save")) == 2


def test_a_recipe_that_fails_is_told_and_the_others_are_built(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.script(Script(missing={"tpm": "no swtpm"}))
    bed.suite(SUITE)
    result = build(pytester, "--json")
    assert result.ret == 1
    told = {(each["name"], each["outcome"]): each["reason"] for each in json.loads(result.stdout.str())}
    assert set(told) == {("two", "there"), ("broken", "failed"), ("one", "skipped"), ("debian-12", "there")}
    assert "the recipe of state broken failed" in told["broken", "failed"]
    assert told["one", "skipped"] == "tpm: no swtpm"
    assert saved(bed) == ["debian-12", "one", "two"]


def test_a_module_that_cannot_be_collected_ends_it_before_anything_is_built(
    bed: Bed, pytester: pytest.Pytester
) -> None:
    bed.suite(SUITE)
    bed.suite("import nothing_of_that_name", "test_wrong.py")
    for options in ((), ("--continue-on-collection-errors",)):
        result = build(pytester, *options)
        assert result.ret == 1
        assert "nothing_of_that_name" in result.stdout.str()
    assert bed.events() == []


def test_wrong_arguments_end_with_2(pytester: pytest.Pytester) -> None:
    assert build(pytester, "--no-such-option").ret == 2
    assert build(pytester, "no_such_file.py").ret == 2


def test_it_builds_into_the_cache_that_is_named(bed: Bed, pytester: pytest.Pytester, tmp_path: Path) -> None:
    bed.suite(SUITE)
    (tmp_path / "images").symlink_to(bed.cache / "images")
    result = states(pytester, "--cache", str(tmp_path), "build", "-k", "plain", *FAKE)
    assert result.ret == 0
    assert [*(tmp_path / "states").glob("*/state.json")]
    assert bed.events() == []


def test_a_run_that_builds_keeps_to_the_limit_but_never_removes_what_it_uses(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = f"--hyperv-states-limit={6 * MIB}"
    bed.suite(SUITE)
    bed.run("-k", "two", limit).assert_outcomes(passed=3, deselected=4)
    assert saved(bed) == ["debian-12", "one", "two"]
    for path in (bed.cache / "states").glob("*/used"):
        os.utime(path, (1, 1))
    bed.suite(SUITE.replace('vm.write_text("two", "")', 'vm.write_bytes("two", os.urandom(2**20))'))
    bed.run("-k", "two", "--hyperv-states-limit=none").assert_outcomes(passed=3, deselected=4)
    assert saved(bed) == ["debian-12", "one", "two", "two"]
    monkeypatch.setenv("PYTEST_HYPERV_STATES_LIMIT", str(6 * MIB))
    bed.suite(SUITE.replace('vm.write_bytes("one", os.urandom(4 * 2**20))', "vm.write_text('one', 'another')"))
    bed.run("-k", "two").assert_outcomes(passed=3, deselected=4)
    assert "two" in saved(bed)
    assert sum(path.stat().st_blocks * 512 for path in (bed.cache / "states").glob("*/**/*")) <= 6 * MIB


def test_a_run_that_builds_nothing_removes_nothing(bed: Bed) -> None:
    bed.suite(SUITE)
    bed.run("-k", "two", "--hyperv-states-limit=none").assert_outcomes(passed=3, deselected=4)
    bed.run("-k", "plain", "--hyperv-states-limit=1").assert_outcomes(passed=1, deselected=6)
    assert saved(bed) == ["debian-12", "one", "two"]
