"""The command line: ``states`` on a shelf of small folders."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_hyperv.cli import main
from pytest_hyperv.spec import MIB
from pytest_hyperv.states.record import USED, StateRecord, lock_of, sweep
from pytest_hyperv.states.users import Users


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["states", *(str(argument) for argument in arguments)])


def read(*arguments: object) -> list[dict[str, Any]]:
    """What a command tells a program."""
    told = run(*arguments, "--json")
    assert told.exit_code == 0, told.output
    facts: list[dict[str, Any]] = json.loads(told.stdout)
    return facts


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where states lie."""
    monkeypatch.setenv("PYTEST_HYPERV_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTEST_HYPERV_STATES_LIMIT", raising=False)
    root = tmp_path / "cache" / "states"
    root.mkdir(parents=True)
    return root


def put(root: Path, name: str, parent: str = "", *, unused: float = 0.0, parent_build: str = "first") -> str:
    """A state of 1 MiB that was not used for so many seconds; returns its key."""
    key, now = name.ljust(32, "0"), time.time()
    folder = root / key
    folder.mkdir()
    (folder / "ram").write_bytes(os.urandom(MIB))
    record = StateRecord(
        key=key,
        name=name,
        recipe=f"test_it.py::{name}" if parent else "",
        image="debian-12",
        machine="512 MiB, 1 CPU",
        backend="qemu",
        host="local",
        parent=parent,
        parent_build=parent_build if parent else "",
        build="first",
        created=now - 1000,
        took=1.0,
    )
    record.write(folder)
    os.utime(folder / USED, (now - unused, now - unused))
    return key


@pytest.fixture
def shelf(root: Path) -> Path:
    """An image, two states on it, one of them with one on it in turn; that one was used last."""
    image = put(root, "debian", unused=900)
    app = put(root, "app", image, unused=800)
    put(root, "service", app, unused=0)
    put(root, "tool", image, unused=600)
    return root


def names(facts: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in facts]


def left(root: Path) -> list[str]:
    return sorted(path.name.rstrip("0") for path in root.iterdir() if path.is_dir())


@pytest.mark.usefixtures("shelf")
def test_a_list_has_the_one_used_last_first_with_size_and_age() -> None:
    facts = read("list")
    assert names(facts) == ["service", "tool", "app", "debian"]
    for each in facts:
        assert MIB <= each["size"] <= MIB + 64 * 1024
        assert each["age"] >= 1000
        assert each["whole"] is True
    assert facts[1]["unused"] >= 600
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "KEY", "MACHINE", "BACKEND", "DISK", "MADE", "USED", "FOR"]
    assert lines[1].startswith("service  service0  512 MiB, 1 CPU  qemu     1 MiB")
    assert lines[2].endswith("16 minutes ago  10 minutes ago  test_it.py::tool")
    assert lines[-1] == "4 states, 4 MiB"


@pytest.mark.usefixtures("shelf")
def test_a_tree_shows_what_stands_on_what() -> None:
    told = [(each["depth"], each["name"]) for each in read("tree")]
    assert told == [(0, "debian"), (1, "app"), (2, "service"), (1, "tool")]
    lines = [line.split("  ")[0:3] for line in run("tree").stdout.splitlines()[1:]]
    assert [line[0] for line in lines] == ["debian", "", "", ""]
    assert "    service " in run("tree").stdout


@pytest.mark.usefixtures("root")
def test_where_nothing_is_that_is_said() -> None:
    for command in ("list", "tree"):
        assert run(command).stdout == "No state is saved.\n"
        assert read(command) == []
    assert run("prune").stdout == "Nothing had to be removed.\n"


def test_what_others_stand_on_is_not_removed_alone(shelf: Path) -> None:
    told = run("remove", "app")
    assert told.exit_code == 1
    assert "Error: app (app00000) cannot be removed alone: service (service0) stand on it" in told.stderr
    assert "Hint: remove them first, or all of them with --children." in told.stderr
    assert left(shelf) == ["app", "debian", "service", "tool"]
    assert names(read("remove", "app", "--children")) == ["service", "app"]
    assert left(shelf) == ["debian", "tool"]


@pytest.mark.parametrize("name", ["service", "test_it.py::service", "service" + 25 * "0", "service0"])
def test_a_state_is_removed_by_name_place_or_key(shelf: Path, name: str) -> None:
    told = run("remove", name)
    assert told.exit_code == 0
    assert told.stdout == "removed service (service0), 1 MiB\n"
    assert left(shelf) == ["app", "debian", "tool"]


def test_parent_and_child_are_removed_together_when_both_are_named(shelf: Path) -> None:
    assert names(read("remove", "app", "service")) == ["service", "app"]
    assert left(shelf) == ["debian", "tool"]


def test_an_unknown_name_is_told_with_those_there_are(shelf: Path) -> None:
    told = run("remove", "apple")
    assert told.exit_code == 1
    assert "there is no state 'apple'" in told.stderr
    assert "Hint: there are: app, debian, service, tool." in told.stderr
    assert run("remove", "serv").exit_code == 1
    assert len(left(shelf)) == 4


def test_what_a_living_process_uses_is_neither_removed_nor_pruned_nor_what_it_stands_on(shelf: Path) -> None:
    users = Users(shelf)
    users.enter("service".ljust(32, "0"))
    told = run("remove", "app", "--children")
    assert told.exit_code == 1
    assert f"service (service0) is used by process {os.getpid()}" in told.stderr
    assert names(read("prune", "--limit", "1")) == ["tool"]
    assert left(shelf) == ["app", "debian", "service"]
    assert "  now   " in run("list").stdout
    users.leave()
    assert names(read("prune", "--limit", "1")) == ["service", "app", "debian"]


def test_the_mark_of_a_dead_process_counts_nothing_and_is_swept(shelf: Path) -> None:
    mark = shelf / f".{'service'.ljust(32, '0')}.1.user"
    mark.write_text(json.dumps({"pid": os.getpid(), "started": "before"}))
    assert run("list").stdout.count("  now   ") == 0
    sweep(shelf)
    assert not mark.exists()


def test_what_is_being_built_is_left_alone(shelf: Path) -> None:
    with lock_of(shelf, "service".ljust(32, "0")):
        told = run("remove", "service")
        assert told.exit_code == 1
        assert "is wanted again" in told.stderr
        assert names(read("prune", "--limit", "1")) == ["tool"]
    assert left(shelf) == ["app", "debian", "service"]


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        ("20GiB", ["app", "debian", "service", "tool"]),
        ("none", ["app", "debian", "service", "tool"]),
        ("3500KiB", ["app", "debian", "service"]),
        ("1.5MiB", ["debian"]),
        ("1", []),
    ],
)
def test_pruning_takes_what_was_not_used_for_longest_and_the_ground_last(
    shelf: Path, limit: str, kept: list[str]
) -> None:
    gone = read("prune", "--limit", limit)
    assert left(shelf) == kept
    assert len(gone) == 4 - len(kept)


def test_the_limit_may_come_from_the_environment(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_STATES_LIMIT", "3500KiB")
    assert names(read("prune")) == ["tool"]
    assert left(shelf) == ["app", "debian", "service"]


def test_a_wrong_limit_is_a_wrong_use() -> None:
    told = run("prune", "--limit", "much")
    assert told.exit_code == 2
    assert "'much' is no size" in told.stderr


def test_a_state_whose_ground_is_another_one_is_told(root: Path) -> None:
    image = put(root, "debian")
    put(root, "old", image, parent_build="another")
    put(root, "lost", "0" * 32)
    told = {each["name"]: each["whole"] for each in read("list")}
    assert told == {"debian": True, "old": False, "lost": False}
    assert run("list").stdout.count("will be built anew: what it stands on is gone") == 2
    assert [(each["depth"], each["name"]) for each in read("tree")] == [(0, "debian"), (1, "old"), (0, "lost")]


def test_a_folder_without_a_record_is_listed_and_can_be_removed(root: Path) -> None:
    (root / ("a" * 32)).mkdir()
    ((facts),) = read("list")
    assert (facts["name"], facts["age"], facts["whole"]) == ("?", None, False)
    assert run("remove", "aaaaaaaa").exit_code == 0
    assert left(root) == []


def test_gc_removes_what_was_half_built_and_half_removed(shelf: Path) -> None:
    for name in (".building-x", ".removed-y"):
        (shelf / name).mkdir()
    told = CliRunner().invoke(main, ["gc"])
    assert told.exit_code == 0
    assert left(shelf) == ["app", "debian", "service", "tool"]
