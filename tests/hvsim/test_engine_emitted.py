"""The report of the calls that were made: it counts, it binds them again, and it can find fault."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from pytest_hyperv.psrp.calls import Command, Select
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.dotnet import Credential
from pytest_hyperv.psrp.secret import Secret
from tests.hvsim.emitted import main, read
from tests.hvsim.engine.emission import EMITTED, decoded, encoded


def test_every_combination_is_counted_once_and_bound_against_every_version(
    session: Session, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = Command("Hyper-V\\New-VM", Name="a", Generation=2, MemoryStartupBytes=2**30, NoVHD=True)
    machine = session.call(new | Select("Id")).one.Id
    for _ in range(2):
        session.call(
            Command("Hyper-V\\Get-VM", Id=machine) | Command("Hyper-V\\Set-VM", Notes="x") | Command("Out-Null")
        )
    session.call(Command("Test-Path", LiteralPath="C:\\"))
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == "6 combinations, all bind against 2019, 2022, 2025\n"


def test_a_call_that_one_version_does_not_take_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = {
        "module": "Hyper-V",
        "command": "Get-VM",
        "set": "Id",
        "parameters": ["Bogus"],
        "arguments": [["Bogus", 1]],
        "piped": [],
    }
    other = {**line, "command": "Get-VMHostPartitionableGpu", "set": "ComputerName", "parameters": [], "arguments": []}
    (tmp_path / EMITTED).write_text("\n".join(map(json.dumps, (line, other))), encoding="utf-8")
    assert main([str(tmp_path)]) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "2 combinations, 3 do not bind:"
    assert all("Get-VM [Id] -Bogus against" in text and "NamedParameterNotFound" in text for text in rest)


def test_a_folder_without_any_call_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=EMITTED):
        list(read([tmp_path]))


def test_secrets_are_not_written_down(session: Session, folder: Path) -> None:
    secret = Credential("me", Secret("geheim"))
    session.run(Command("Get-Item", Path="C:\\", Credential=secret))
    assert "geheim" not in (folder / EMITTED).read_text("utf-8")


@pytest.mark.parametrize("value", [None, 1, "x", [1, "a"], {"a": 1}, uuid.UUID(int=1), b"ab", 1.5])
def test_values_come_back_as_they_were(value: object) -> None:
    assert decoded(json.loads(json.dumps(encoded(value)))) == value
