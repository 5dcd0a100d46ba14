"""States of recipes on real machines: two levels, with memory, processes and sessions, built once and anew when due."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vm.test_ownership import alive, killed_run

LeftOver = Callable[[], list[Path]]
TREE = """
import pytest
from pytest_hyperv import hyperv_state

SERVER = "cut -d' ' -f22 /proc/$PPID/stat"

@hyperv_state(base="debian-12", inputs=["greeting"])
def greeted(vm):
    vm.copy_in("greeting", "/root/greeting")
    before = vm.checkpoint("before")
    vm.sh("echo spoiled > /root/greeting; sync").check()
    vm.restore(before)
    vm.checkpoint("after")
    vm.sh("setsid sleep 99999 > /dev/null 2>&1 < /dev/null & echo $! > /run/sleeper").check()
    vm.write_text("/run/server", vm.sh(SERVER).stdout)

@hyperv_state(base=greeted)
def answered(vm):
    vm.sh("sed s/hello/answered/ /root/greeting > /root/answer").check()
    vm.write_text("/run/server-then", vm.sh(SERVER).stdout)

@pytest.mark.hyperv(state=answered)
@pytest.mark.parametrize("n", range(2))
def test_answered(hyperv_vm, n):
    assert hyperv_vm.read_text("/root/answer") == "answered WORLD\\n"
    assert hyperv_vm.sh("kill -0 $(cat /run/sleeper)"), "what the recipe started is gone"
    server = hyperv_vm.sh(SERVER).stdout
    assert server == hyperv_vm.read_text("/run/server") == hyperv_vm.read_text("/run/server-then")
    assert abs(float(hyperv_vm.sh("date +%s").stdout) - __import__("time").time()) < 30
    assert hyperv_vm.run(["touch", "/root/dirt"])

@pytest.mark.hyperv(state=greeted)
def test_greeted(hyperv_vm):
    assert hyperv_vm.read_text("/root/greeting") == "hello WORLD\\n"
    assert not hyperv_vm.run(["test", "-e", "/root/answer"])
    assert len(hyperv_vm.checkpoints.root.children) == 0
    point = hyperv_vm.checkpoint("here")
    hyperv_vm.run(["rm", "/root/greeting"]).check()
    hyperv_vm.restore(point)
    assert hyperv_vm.run(["test", "-e", "/root/greeting"])
    hyperv_vm.restart()
    assert hyperv_vm.read_text("/root/greeting") == "hello WORLD\\n"
"""


@pytest.fixture
def own_states(own_cache: Path) -> Path:
    """States of this test's own, but for the booted images."""
    shared = (own_cache / "states").resolve()
    (own_cache / "states").unlink()
    (own_cache / "states").mkdir()
    for record in shared.glob("*/state.json"):
        if not json.loads(record.read_text())["parent"]:
            (own_cache / "states" / record.parent.name).symlink_to(record.parent)
    return own_cache


def run(pytester: pytest.Pytester, cache: Path, *arguments: str) -> pytest.RunResult:
    """A run of its own on ``cache``."""
    return pytester.runpytest_subprocess(f"--hyperv-cache={cache}", "-p", "no:cacheprovider", *arguments)


def folder_of(cache: Path, name: str) -> Path:
    """The folder of a state by its name."""
    (path,) = (path for path in (cache / "states").glob("*/state.json") if json.loads(path.read_text())["name"] == name)
    return path.parent


def test_two_levels_are_built_once_and_their_branch_anew_when_an_input_changes(
    pytester: pytest.Pytester, own_states: Path, left_over: LeftOver
) -> None:
    suite = pytester.makepyfile(TREE.replace("WORLD", "world"))
    greeting = pytester.path / "greeting"
    greeting.write_text("hello world\n")
    first = run(pytester, own_states)
    first.assert_outcomes(passed=3)
    first.stdout.fnmatch_lines(["*, 2 states built*"])

    second = run(pytester, own_states, "-k", "test_answered")
    second.assert_outcomes(passed=2, deselected=1)
    second.stdout.no_fnmatch_line("*states built*")

    disk = next(folder_of(own_states, "greeted").glob("*.qcow2"))
    disk.chmod(0o600)
    with disk.open("r+b") as file:
        file.truncate(disk.stat().st_size // 2)
    third = run(pytester, own_states, "-k", "test_answered")
    third.assert_outcomes(passed=2, deselected=1)
    third.stdout.fnmatch_lines(["*, 2 states built*"])

    suite.write_text(TREE.replace("WORLD", "moon"))
    greeting.write_text("hello moon\n")
    fourth = run(pytester, own_states, "-k", "test_answered")
    fourth.assert_outcomes(passed=2, deselected=1)
    fourth.stdout.fnmatch_lines(["*, 2 states built*"])
    assert left_over() == []


MARKED = """
import pytest
from pytest_hyperv import hyperv_state

@hyperv_state(base="debian-12")
def marked(vm):
    vm.write_text("/root/mark", "of the recipe")

@pytest.mark.hyperv(state=marked)
def test_it(hyperv_vm): pass
"""


def test_a_person_gets_a_machine_of_a_state_when_there_is_room(
    pytester: pytest.Pytester, own_states: Path, left_over: LeftOver
) -> None:
    def command(name: str, *arguments: str) -> pytest.RunResult:
        return pytester.run("pytest-hyperv", name, "--cache", own_states, *arguments)

    pytester.makepyfile(MARKED)
    run(pytester, own_states).assert_outcomes(passed=1)
    refused = command("run", "marked", "--budget", "memory=500MiB")
    assert refused.ret == 1
    refused.stderr.fnmatch_lines(["*512 MiB, 1 CPU can never fit: the budget of this host is 500 MiB*"])
    made = command("run", "marked", "--json")
    try:
        said = command("exec", json.loads(made.stdout.str())["name"], "--", "cat", "/root/mark")
        assert said.stdout.str() == "of the recipe"
    finally:
        command("gc", "--kept")
    assert left_over() == []


FAILING = """
import pytest
from pytest_hyperv import hyperv_state

@hyperv_state(base="debian-12")
def broken(vm):
    vm.sh("echo '<1>about to fail' > /dev/kmsg; echo cannot do that >&2; exit 9").check()

@hyperv_state(base="debian-12")
def panicking(vm):
    vm.sh("echo c > /proc/sysrq-trigger")

@pytest.mark.hyperv(state=broken)
@pytest.mark.parametrize("n", range(2))
def test_broken(hyperv_vm, n): pass

@pytest.mark.hyperv(state=panicking)
@pytest.mark.parametrize("n", range(2))
def test_panicking(hyperv_vm, n): pass
"""


def test_a_recipe_that_fails_is_told_with_its_cause_and_what_could_be_seen(
    pytester: pytest.Pytester, own_states: Path, left_over: LeftOver
) -> None:
    pytester.makepyfile(FAILING)
    result = run(pytester, own_states)
    result.assert_outcomes(errors=4)
    output = result.stdout.str()
    assert output.count("Preparing broken on debian-12 (512 MiB, 1 CPU) ...") == 1
    assert output.count("Preparing panicking on debian-12 (512 MiB, 1 CPU) ...") == 1
    errors = output.partition("short test summary info")[0]  # where CI is set, pytest tells all of them there once more
    assert errors.count("  cannot do that") == 2
    assert errors.count("StateError: the recipe of state panicking failed: GuestCrashed: the kernel of ") == 2
    broken, panicking = sorted(
        (own_states / "failed-states").iterdir(), key=lambda path: "panicking" in (path / "failure.txt").read_text()
    )
    assert f"Hint: see what it did in {broken}." in output
    assert (broken / "screen.png").read_bytes().startswith(b"\x89PNG")
    assert "about to fail" in (broken / "console.txt").read_text()
    assert "sysrq_handle_crash" in (panicking / "console.txt").read_text()
    assert [path for path in (own_states / "states").iterdir() if path.name.startswith(".building")] == []
    assert left_over() == []


KILLED = """
import pytest
from pytest_hyperv import hyperv_state

@hyperv_state(base="debian-12")
def slow(vm):
    open("running", "w").close()
    vm.run(["sleep", "300"], timeout=400)

@pytest.mark.hyperv(state=slow)
def test_it(hyperv_vm): pass
"""


def test_a_builder_that_was_killed_leaves_nothing_that_the_next_run_does_not_remove(
    pytester: pytest.Pytester, own_states: Path, left_over: LeftOver
) -> None:
    with killed_run(pytester, own_states, KILLED, processes=1) as records:
        assert len(alive(records)) >= 1, "the machine died with its owner, so this test shows nothing"
        assert [*(own_states / "states").glob(".building-*")]
        pytester.makepyfile(KILLED.replace('vm.run(["sleep", "300"], timeout=400)', 'vm.run(["true"]).check()'))
        result = run(pytester, own_states)
        result.assert_outcomes(passed=1)
        assert alive(records) == []
        assert [*(own_states / "states").glob(".building-*")] == []
        assert left_over() == []
