"""Finding a machine by what a person types, and the shells for guests that have no terminal to give."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_hyperv.cli import main
from pytest_hyperv.cli.line_shell import LineShell, PosixLines
from pytest_hyperv.errors import MachineError
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.visits import command_to_enter, find
from tests.local_guest import LocalSession


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "machines")


def named(ledger: Ledger, name: str) -> Record:
    record = replace(ledger.open("fake", "a test"), name=name)
    record.write()
    return record


def test_a_machine_is_found_by_name_id_and_the_beginning_of_either(ledger: Ledger) -> None:
    one, other = named(ledger, "hyperv-1a2b3c4d"), named(ledger, "hyperv-1a2bffff")
    for text in ("hyperv-1a2b3c4d", "HYPERV-1A2B3", "1a2b3", one.id, one.folder.name, one.id[:13]):
        assert find(ledger, text) == one
    with pytest.raises(MachineError, match="several") as several:
        find(ledger, "1a2b")
    assert one.name in several.value.hint
    assert other.name in several.value.hint
    for text in ("", "hyperv-9", "nobody"):
        with pytest.raises(MachineError, match=r"no machine|several"):
            find(ledger, text)


def test_what_enters_it_names_the_cache_when_that_is_not_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTEST_HYPERV_CACHE", str(tmp_path))
    assert command_to_enter("hyperv-1", tmp_path) == "pytest-hyperv shell hyperv-1"
    other = tmp_path / "with space"
    assert command_to_enter("hyperv-1", other) == f"pytest-hyperv shell --cache '{other}' hyperv-1"


@pytest.mark.parametrize("arguments", [("a", "b"), ("vm:a", "other:b"), ("C:a", "./x:y")])
def test_one_side_of_a_copy_is_in_a_machine(tmp_path: Path, arguments: tuple[str, str]) -> None:
    told = CliRunner().invoke(main, ["cp", "--cache", str(tmp_path), *arguments])
    assert told.exit_code == 2
    assert "VM:PATH" in told.output


@pytest.mark.parametrize("command", ["shell", "console", "screenshot", "open"])
def test_a_machine_that_is_not_there_is_status_1(tmp_path: Path, command: str) -> None:
    told = CliRunner().invoke(main, [command, "--cache", str(tmp_path), "hyperv-1"])
    assert told.exit_code == 1
    assert "there is no machine 'hyperv-1'" in told.output


def test_lines_keep_the_folder_and_give_their_exit_code(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines = PosixLines(LocalSession(tmp_path), "vm")
    assert lines.run(f"cd '{tmp_path}'; echo out; echo err >&2; false") == 1
    assert lines.prompt == f"vm:{tmp_path}$ "
    assert lines.run("pwd; exit 7") == 7
    said = capfdbinary.readouterr()
    assert (said.out, said.err) == (f"out\n{tmp_path}\n".encode(), b"err\n")


@pytest.mark.parametrize(
    ("typed", "status"), [("true\nexit 3\n", 3), ("exit\n", 0), ("(exit 4)\n\nlogout\n", 4), ("(exit 5)\n", 5)]
)
def test_a_line_shell_ends_with_the_status_it_was_left_with(tmp_path: Path, typed: str, status: int) -> None:
    assert LineShell(PosixLines(LocalSession(tmp_path), "vm")).run(io.StringIO(typed)) == status
