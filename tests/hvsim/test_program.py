"""The program that stands in for powershell.exe: how it begins, answers, stops and ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.calls import Call, Command, Script, Select
from pytest_hyperv.psrp.client import Session
from tests.hvsim.conftest import SWITCHES, started
from tests.hvsim.creation import main as make_on_command_line
from tests.hvsim.host.faults import plan_fault
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.state import Fault
from tests.hvsim.host.world import SimHost

PATIENCE = 20.0


def processes(folder: Path) -> list[int]:
    with SimHost(folder).transaction() as world:
        return [process.pid for process in world.processes if psutil.pid_exists(process.pid)]


def wait_until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.02)
    return True


@contextlib.contextmanager
def raw_process(launcher: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [str(launcher), *SWITCHES]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_cmdlet_of_the_host_answers_over_the_protocol(session: Session) -> None:
    found = session.call(Command("Hyper-V\\Get-VMHost") | Select("Name", "LogicalProcessorCount")).one
    assert (found.Name, found.LogicalProcessorCount) == ("SIMHOST", 16)


def test_processes_of_one_host_share_its_state(launcher: Path) -> None:
    with started(launcher) as one, started(launcher) as other:
        one.call(Command("Hyper-V\\New-VM", Name="shared", Generation=2, MemoryStartupBytes=2**30, NoVHD=True))
        assert other.call(Command("Hyper-V\\Get-VM") | Select("Name")).one.Name == "shared"


def test_hosts_in_different_folders_know_nothing_of_each_other(tmp_path: Path, session: Session) -> None:
    session.call(Command("Hyper-V\\New-VM", Name="alone", Generation=2, MemoryStartupBytes=2**30, NoVHD=True))
    make_on_command_line([str(tmp_path / "second"), "--version", "2019"])
    with started(tmp_path / "second" / "bin" / "powershell.exe") as other:
        assert other.call(Command("Hyper-V\\Get-VM")).output == []


def test_a_closed_session_ends_the_process_with_0(launcher: Path, folder: Path) -> None:
    session = started(launcher)
    (pid,) = processes(folder)
    process = psutil.Process(pid)
    session.close()
    assert process.wait(PATIENCE) in (0, None)
    assert processes(folder) == []


@pytest.mark.parametrize("line", [b"hello\n", b"\n", b"<Data Stream='Default' PSGuid='x'>!</Data>\n"])
def test_broken_input_ends_the_process_with_160(launcher: Path, line: bytes) -> None:
    with raw_process(launcher) as process:
        _, errors = process.communicate(line, timeout=PATIENCE)
        assert process.returncode == 160
        assert b"An error occurred" in errors


def test_a_stopped_pipeline_leaves_the_session_usable(session: Session) -> None:
    with session.start(Script("'begun'; Start-Sleep 3600")) as running:
        assert next(running.items()).value == "begun"
        running.stop()
        assert running.result().stopped
    assert session.call(Script("'alive'")).one == "alive"


def test_variables_last_from_one_pipeline_to_the_next_unless_their_scope_is_local(session: Session) -> None:
    session.call(Script("$kept = 'so'"))
    assert session.call(Script('"$kept and $kept"')).one == "so and so"
    session.call(Script("$kept = 'changed'; $other = 1; $global:third = 3").in_local_scope())
    assert session.call(Script('"$kept, $other, $third"')).one == "so, , 3"
    session.call(Call(Command("Set-Variable", Name="Other", Value=5)))
    assert session.call(Command("Get-Variable", Name="other", ValueOnly=True)).one == 5


def test_a_process_may_die_at_its_start(launcher: Path, folder: Path) -> None:
    plan_fault(folder, Fault("process-dies-at-start"))
    with pytest.raises(SessionLost):
        started(launcher)
    with started(launcher) as session:
        assert session.call(Script("'second try'")).one == "second try"


def test_a_slow_module_makes_its_first_use_wait_and_no_other(host: Callable[[HostOptions], Path]) -> None:
    launcher = host(HostOptions(speed=1.0))
    plan_fault(launcher.parents[1], Fault("slow-module", seconds=1.5))
    with started(launcher) as session:
        began = time.monotonic()
        session.call(Command("Import-Module", Name="Hyper-V"))
        assert time.monotonic() - began >= 1.5
        assert session.call(Command("Get-Module", Name="Hyper-V") | Select("Name")).one.Name == "Hyper-V"


def test_a_lost_reply_means_that_the_command_ran_and_the_process_is_gone(launcher: Path, folder: Path) -> None:
    plan_fault(folder, Fault("reply-lost", on="New-VM"))
    new = Command("Hyper-V\\New-VM", Name="made", Generation=2, MemoryStartupBytes=2**30, NoVHD=True)
    with started(launcher) as session, pytest.raises(SessionLost):
        session.call(new)
    with started(launcher) as session:
        assert session.call(Command("Hyper-V\\Get-VM") | Select("Name")).one.Name == "made"


def test_a_restart_of_the_host_ends_all_its_processes_and_later_calls_work(launcher: Path, folder: Path) -> None:
    with started(launcher) as bystander, started(launcher) as session:
        plan_fault(folder, Fault("host-reboots"))
        with pytest.raises(SessionLost):
            session.call(Command("Hyper-V\\Get-VM"))
        assert wait_until(lambda: bystander.lost is not None)
    with started(launcher) as session:
        assert session.call(Command("Hyper-V\\Get-VM")).output == []
    assert processes(folder) == []


def test_a_host_without_the_module_says_which_command_it_could_not_load(host: Callable[[HostOptions], Path]) -> None:
    with started(host(HostOptions(module=False))) as session:
        qualified = session.run(Command("Hyper-V\\Get-VM")).failure
        plain = session.run(Command("Get-VM")).failure
        assert qualified is not None
        assert plain is not None
        assert (qualified.error_id, qualified.category) == ("CouldNotAutoLoadModule", "ObjectNotFound")
        assert plain.error_id == "CommandNotFoundException"
        assert session.call(Command("Get-Module", Name="Hyper-V", ListAvailable=True)).output == []
        missing = session.run(Command("Import-Module", Name="Hyper-V"))
        assert [error.error_id for error in missing.errors] == [
            "Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand"
        ]


@pytest.mark.parametrize(("version", "known"), [("2019", False), ("2022", True), ("2025", True)])
def test_a_command_is_there_from_the_version_on_that_documents_it(tmp_path: Path, version: str, known: bool) -> None:
    make_on_command_line([str(tmp_path), "--version", version])
    with started(tmp_path / "bin" / "powershell.exe") as session:
        result = session.run(Command("Hyper-V\\Get-VMHostPartitionableGpu"))
        assert (result.failure is None) is known


def test_the_calls_made_are_written_down_once_each(session: Session, folder: Path) -> None:
    for _ in range(2):
        session.run(Command("Hyper-V\\Get-VM", Id=uuid4()))
    lines = [json.loads(line) for line in (folder / "emitted.jsonl").read_text("utf-8").splitlines()]
    assert [(line["command"], line["set"], line["parameters"]) for line in lines] == [("Get-VM", "Id", ["Id"])]


def test_the_launcher_works_from_any_folder(launcher: Path, tmp_path: Path) -> None:
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        with started(launcher) as session:
            assert session.call(Script("'here'")).one == "here"
    finally:
        os.chdir(before)
