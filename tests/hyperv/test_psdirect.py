"""PowerShell Direct by way of the host: scripts, programs and files of a guest, and sessions that end with its life."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from benchmarks.simulated import CREDENTIALS
from pytest_hyperv.backends.hyperv import guest_session
from pytest_hyperv.backends.hyperv.machine import HypervMachine
from pytest_hyperv.backends.hyperv.opening import ThroughHost
from pytest_hyperv.errors import (
    AccessDenied,
    CommandFailed,
    CommandTimeout,
    CopyError,
    GuestCrashed,
    MachineStateError,
)
from pytest_hyperv.machine import VirtualMachine
from pytest_hyperv.psrp.client import Session
from tests.hyperv.conftest import enter
from tests.hyperv.simulation import PATIENCE, Simulation, eventually

LONG = 20000
"""Seconds of a guest's time that no test waits for."""


@pytest.fixture(scope="module")
def one(shared_host: Simulation) -> Iterator[VirtualMachine]:
    """A machine for all tests that leave it as it was."""
    with pytest.MonkeyPatch.context() as environment:
        enter(shared_host.lab, environment)
        shared_host.calm()
        backend = shared_host.open()
        machine = backend.clone(shared_host.state(), "PowerShell Direct")
        yield VirtualMachine(machine, shared_host.image, "hyperv")
        machine.discard()
        backend.close()


# -- scripts


def test_every_stream_comes_back_apart(one: VirtualMachine) -> None:
    told = one.ps(
        "'out'; Write-Error err; Write-Warning warn; Write-Verbose verb -Verbose; Write-Debug dbg -Debug; "
        "Write-Information info -Tags a,b; 'more'"
    )
    assert told.output == ["out", "more"]
    assert [error.message for error in told.errors] == ["err"]
    assert (told.warnings, told.verbose, told.debug) == (["warn"], ["verb"], ["dbg"])
    assert [(str(each.message), each.tags) for each in told.information] == [("info", ("a", "b"))]
    assert (told.exit_code, told.failure) == (0, None)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 5", 5), ("'x'; exit 3010", 3010), ("1", 0)])
def test_exit_codes_come_back_and_the_session_lives(one: VirtualMachine, script: str, code: int) -> None:
    one.ps("$global:kept = 'kept'").check()
    assert one.ps(script).exit_code == code
    assert one.ps("$global:kept").check().one == "kept"


def test_the_exit_code_of_a_program_comes_back(one: VirtualMachine) -> None:
    assert one.ps("cmd /c exit 7").exit_code == 7
    assert one.run(["cmd.exe", "/c", "exit 9"]).returncode == 9


def test_an_error_that_ends_a_script_is_told_with_its_words(one: VirtualMachine) -> None:
    told = one.ps("'before'; throw 'thrown'; 'after'")
    assert told.output == ["before"]
    assert told.failure is not None
    assert told.failure.message == "thrown"
    assert told.exit_code == 1


def test_arguments_travel_as_values(one: VirtualMachine) -> None:
    for value in ('it\'s; $(not) `this` "one"\r\nü你🙂', "", 7, -(2**40), 0.5, True, None, [1, "two", [3]], {"a": 1}):
        assert one.ps("param($value) , $value", value).check().one == value
        assert one.ps("param($value) , $value", value=value).check().one == value


def test_cmdlets_run_as_data(one: VirtualMachine) -> None:
    call = one.powershell.call
    assert call("Write-Output", InputObject=["b", "a"]).pipe("Sort-Object").all == ["a", "b"]
    assert call("Get-Service", Name="Spooler").select("Name").one.Name == "Spooler"
    with pytest.raises(CommandFailed, match="nowhere"):
        call("Get-Item", Path="C:\\nowhere", ErrorAction="Stop").run().check()


def test_a_stopped_script_leaves_the_session_usable(one: VirtualMachine) -> None:
    one.ps("$global:kept = 'before'").check()
    with pytest.raises(CommandTimeout):
        one.ps(f"'started'; Start-Sleep {LONG}", timeout=1)
    assert one.ps("$global:kept").check().one == "before"


# -- programs


def test_output_comes_while_the_program_runs(one: VirtualMachine) -> None:
    came: list[tuple[int, float]] = []
    began = time.monotonic()
    told = one.run(
        ["ping.exe", "-n", "20", "localhost"], on_output=lambda number, _: came.append((number, time.monotonic()))
    )
    took = time.monotonic() - began
    assert told
    assert {number for number, _ in came} == {1}
    assert came[0][1] - began < took / 2


def test_a_program_has_its_folder_its_environment_and_its_input(one: VirtualMachine) -> None:
    assert one.run(["cmd.exe", "/c", "cd"], cwd="C:\\Windows").stdout == "C:\\Windows\r\n"
    assert one.run(["cmd.exe", "/c", "echo %WORD%"], env={"WORD": "said"}).stdout == "said\r\n"
    assert one.run(["cat.exe"], input=bytes(range(256))).stdout_bytes == bytes(range(256))
    assert one.run(["args.exe", 'two  "words"', "", "c:\\x\\"]).stdout == 'two  "words"||c:\\x\\|'


def test_streams_of_a_program_come_back_apart(one: VirtualMachine) -> None:
    told = one.sh("echo out& echo err>&2& exit 3")
    assert (told.stdout, told.stderr, told.returncode) == ("out\r\n", "err\r\n", 3)


def test_a_program_that_takes_too_long_is_ended_in_the_guest(one: VirtualMachine) -> None:
    with pytest.raises(CommandTimeout) as late:
        one.run(["ping.exe", "-t", "localhost"], timeout=0.5)
    assert b"Reply from" in late.value.stdout
    assert "PING" not in one.run(["tasklist.exe"]).stdout.upper()


def test_a_program_that_is_not_there_is_named(one: VirtualMachine) -> None:
    with pytest.raises(CommandFailed, match=r"nowhere\.exe"):
        one.run(["nowhere.exe"])


def test_a_program_may_run_beside_others_and_be_ended(one: VirtualMachine) -> None:
    running = one.spawn(["ping.exe", "-t", "localhost"])
    assert running.read(PATIENCE) is not None
    assert one.run(["hostname.exe"]).stdout == "SIMGUEST\r\n"
    running.kill()
    assert eventually(lambda: "PING" in one.run(["tasklist.exe"]).stdout.upper(), lambda runs: not runs) is False


def test_many_threads_share_one_machine(one: VirtualMachine) -> None:
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda number: one.ps("param($n) $n", number).check().one, range(24)))
    assert told == list(range(24))


# -- files


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_files_go_both_ways_byte_for_byte(one: VirtualMachine, tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    source = tmp_path / "source"
    source.write_bytes(data)
    one.copy_in(source, "C:\\files\\here.bin")
    found = one.run(["certutil.exe", "-hashfile", "C:\\files\\here.bin", "SHA256"])
    if size:
        assert hashlib.sha256(data).hexdigest() in found.stdout
    assert one.copy_out("C:\\files\\here.bin", tmp_path / "back").read_bytes() == data


def test_a_large_file_goes_in_and_out(one: VirtualMachine, tmp_path: Path) -> None:
    data = random.Random(40).randbytes(40 * 1024 * 1024)
    source = tmp_path / "source"
    source.write_bytes(data)
    one.copy_in(source, "C:\\files\\large.bin")
    back = one.copy_out("C:\\files\\large.bin", tmp_path / "back")
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(data).digest()


def test_a_file_that_is_not_there_is_named(one: VirtualMachine) -> None:
    with pytest.raises(CopyError, match="nowhere"):
        one.read_bytes("C:\\nowhere.txt")


# -- sessions and lives


def test_a_session_ends_with_its_guests_life_and_a_new_one_is_opened(vm: VirtualMachine) -> None:
    vm.ps("$global:kept = 'kept'").check()
    vm.restart(timeout=60)
    assert vm.ps("$global:kept").check().all in ([], [None])
    point = vm.checkpoint("point")
    vm.ps("$global:kept = 'kept'").check()
    vm.restore(point)
    assert vm.ps("$global:kept").check().all in ([], [None])


def test_a_guest_that_restarts_by_itself_is_reached_again(vm: VirtualMachine) -> None:
    vm.run(["shutdown.exe", "/r", "/t", "0"])
    vm.wait_until_succeeds(["hostname.exe"], timeout=30)


def test_a_guest_that_crashes_under_a_script_is_told_as_crashed(vm: VirtualMachine) -> None:
    with pytest.raises(GuestCrashed) as died:
        vm.run(["bugcheck.exe", "0x000000EF"], timeout=20)
    assert died.value.kind == "bugcheck"
    assert "0xEF" in died.value.text
    assert vm.crashed


def test_a_guest_that_was_turned_off_refuses_with_the_way_on(vm: VirtualMachine) -> None:
    vm.kill()
    with pytest.raises(MachineStateError, match=vm.name) as told:
        vm.run(["hostname.exe"])
    assert "start" in told.value.hint


def test_a_paused_guest_refuses_with_the_way_on(vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_session, "GRACE", 1.0)
    vm.pause()
    with pytest.raises(MachineStateError, match="it is paused"):
        vm.run(["hostname.exe"], timeout=0.5)
    vm.resume()
    assert vm.run(["hostname.exe"])


def test_a_process_on_the_host_that_ends_is_replaced(host: Simulation, vm: VirtualMachine) -> None:
    vm.run(["hostname.exe"]).check()
    with host.world() as world:
        latest = max(world.processes, key=lambda process: process.started)
    os.kill(latest.pid, signal.SIGKILL)
    eventually(lambda: psutil.pid_exists(latest.pid), lambda there: not there)
    assert vm.run(["hostname.exe"])


def test_openings_of_one_machine_come_one_after_the_other(
    machine: HypervMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = threading.Lock()
    at_once: list[bool] = []
    enter_guest = ThroughHost._enter

    def watched(self: ThroughHost, process: Session, timeout: float) -> None:
        at_once.append(not opening.acquire(blocking=False))
        enter_guest(self, process, timeout)
        opening.release()

    monkeypatch.setattr(ThroughHost, "_enter", watched)
    with ThreadPoolExecutor(4) as threads:
        running = list(threads.map(lambda _: machine.session.spawn(["hostname.exe"]), range(4)))
    assert [each.wait(PATIENCE) for each in running] == [0, 0, 0, 0]
    assert at_once == [False] * 4


def test_a_wrong_password_is_refused_with_the_images_credentials(
    machine: HypervMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.session.close()
    monkeypatch.setenv(CREDENTIALS, "Administrator:wrong")
    with pytest.raises(AccessDenied, match=machine.name) as told:
        machine.session.run(["hostname.exe"])
    assert "credentials" in told.value.hint
    assert "wrong" not in str(told.value)
