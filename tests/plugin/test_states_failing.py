"""A recipe that fails: tried once in a run, told to all that need it with cause and evidence, and nothing half left."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from pytest_hyperv.states.failures import KEPT
from tests.plugin.conftest import Bed

HAS_XDIST = importlib.util.find_spec("xdist") is not None
FAILING = """
    from pathlib import Path
    from pytest_hyperv import hyperv_state

    @hyperv_state(base="debian-12")
    def installed(vm):
        with (Path(__file__).parent / "tries").open("a") as tries:
            tries.write("x")
        vm.sh("echo installing").check()
        {end}

    @hyperv_state(base=installed)
    def configured(vm):
        vm.write_text("configured", "")

    @hyperv(state=configured)
    @pytest.mark.parametrize("n", range(3))
    def test_configured(hyperv_vm, n): pass

    @hyperv(state=installed)
    @pytest.mark.parametrize("n", range(3))
    def test_installed(hyperv_vm, n): pass

    def test_plain(hyperv_vm): pass
"""
GUEST_FAILS = 'vm.sh("echo no such package; echo broken >&2; exit 3").check()'


def tries(pytester: pytest.Pytester) -> int:
    """How often the recipe ran in all runs so far."""
    return len((pytester.path / "tries").read_text())


def states_left(bed: Bed) -> list[str]:
    """The folders of states, half built ones too."""
    return [path.name for path in (bed.cache / "states").iterdir() if path.is_dir()]


@pytest.mark.parametrize("options", [[], *([["-n2"]] if HAS_XDIST else [])], ids=" ".join)
def test_all_that_need_it_are_told_the_cause_and_it_runs_once(
    bed: Bed, pytester: pytest.Pytester, options: list[str]
) -> None:
    bed.suite(FAILING.format(end=GUEST_FAILS))
    result = bed.run_apart(*options)
    result.assert_outcomes(passed=1, errors=6)
    assert tries(pytester) == 1
    told = result.stdout.str().split("ERROR at setup of ")[1:]
    assert len(told) == 6
    for paragraph in told:
        for text in (
            "StateError: the recipe of state installed failed: CommandFailed: ",
            "returned 3",
            "no such package",
            "broken",
            "test_it.py",
            "in installed",
            f"{GUEST_FAILS}\n",
            "Hint: see what it did in ",
        ):
            assert text in paragraph
        assert "pytest_hyperv/" not in paragraph
        assert "/states/store.py" not in paragraph
    assert len(states_left(bed)) == 1
    assert bed.left() == []


def test_the_next_run_tries_again_and_success_forgets_the_failure(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite(FAILING.format(end='assert (Path(__file__).parent / "fixed").exists()'))
    bed.run().assert_outcomes(passed=1, errors=6)
    bed.run().assert_outcomes(passed=1, errors=6)
    assert tries(pytester) == 2
    assert len([*(bed.cache / "failed-states").iterdir()]) == 1
    (pytester.path / "fixed").touch()
    bed.run().assert_outcomes(passed=7)
    assert tries(pytester) == 3
    assert [*(bed.cache / "failed-states").iterdir()] == []


def evidence_of(bed: Bed) -> Path:
    """Where the evidence of the only failed state is."""
    (folder,) = (bed.cache / "failed-states").iterdir()
    return folder


def test_what_a_recipe_keeps_secret_is_not_in_its_evidence(bed: Bed) -> None:
    saying = 'vm.sh("echo $API_TOKEN", env={"API_TOKEN": "hunter2-hunter2"}).check(); raise OSError'
    bed.suite(FAILING.format(end=saying))
    bed.run()
    commands = (evidence_of(bed) / "commands.txt").read_text()
    assert "with API_TOKEN set" in commands
    assert "stdout (16 bytes):" in commands
    assert "hunter2-hunter2" not in commands


def test_the_evidence_is_kept_where_the_message_says(bed: Bed) -> None:
    bed.suite(FAILING.format(end=GUEST_FAILS))
    output = bed.run().stdout.str()
    folder = evidence_of(bed)
    assert f"Hint: see what it did in {folder}." in output
    assert "CommandFailed" in (folder / "failure.txt").read_text()
    assert "Traceback" in (folder / "failure.txt").read_text()
    commands = (folder / "commands.txt").read_text()
    assert commands.index("echo installing") < commands.index("no such package") < commands.index("broken")
    assert (folder / "screen.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "console.txt").is_file()
    assert json.loads((folder / "failure.json").read_text())["message"].startswith("the recipe of state installed")


def test_the_evidence_holds_no_secret_of_the_run(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETUP_TOKEN", "installing")
    bed.suite(FAILING.format(end=GUEST_FAILS))
    bed.run()
    commands = (evidence_of(bed) / "commands.txt").read_text()
    assert "installing" not in commands
    assert "echo ***" in commands


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("vm.run(['die'])", "GuestCrashed: the guest died: asked to"),
        ("vm.shutdown()", "must be running at the end of the recipe, it is off"),
        ("vm.pause()", "must be running at the end of the recipe, it is paused"),
        ("pytest.fail('it cannot be')", "Failed: it cannot be"),
        ("assert vm.sh('exit 4')", "AssertionError: "),
        ("vm.run(['no-such-program'])", "CommandFailed: no-such-program cannot be started"),
        ("vm.copy_in('nothing', '/tmp/')", "nothing"),
        ("raise KeyError('x')", "KeyError: 'x'"),
    ],
)
def test_it_fails_with_what_happened(bed: Bed, pytester: pytest.Pytester, end: str, told: str) -> None:
    bed.suite(FAILING.format(end=end))
    result = bed.run("-k", "test_installed")
    result.assert_outcomes(errors=3)
    assert told in result.stdout.str()
    assert tries(pytester) == 1
    assert len(states_left(bed)) == 1
    assert bed.left() == []
    kept = {path.name for path in evidence_of(bed).iterdir()}
    assert {"failure.txt", "commands.txt", "console.txt", "failure.json"} <= kept


def test_a_guest_that_died_leaves_its_last_words(bed: Bed) -> None:
    bed.suite(FAILING.format(end="vm.run(['die'])"))
    bed.run("-k", "test_installed").assert_outcomes(errors=3)
    assert (evidence_of(bed) / "console.txt").read_text() == "Kernel panic - not syncing: asked to"


def test_a_run_that_is_interrupted_in_a_recipe_leaves_nothing_half_built(bed: Bed) -> None:
    bed.suite(FAILING.format(end="raise KeyboardInterrupt"))
    assert bed.run_apart().ret == pytest.ExitCode.INTERRUPTED
    assert len(states_left(bed)) == 1
    assert not (bed.cache / "failed-states").exists()
    assert bed.left() == []


def test_no_more_evidence_is_kept_than_of_the_newest_failures(bed: Bed) -> None:
    old = bed.cache / "failed-states"
    for number in range(KEPT + 2):
        (old / f"{number:032}").mkdir(parents=True)
    bed.suite(FAILING.format(end=GUEST_FAILS))
    bed.run("-k", "test_installed").assert_outcomes(errors=3)
    assert len([*old.iterdir()]) == KEPT
    assert [path for path in old.iterdir() if (path / "failure.txt").is_file()]


def test_a_recipe_that_skips_skips_its_tests(bed: Bed) -> None:
    bed.suite(FAILING.format(end="pytest.skip('no licence here')"))
    result = bed.run("-k", "test_installed")
    result.assert_outcomes(skipped=3)
    assert len(states_left(bed)) == 1
    assert bed.left() == []
