"""Sessions into the simulated guest: what refuses one, what ends one, and what its memory, disk and clock keep."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CmdletError, CommandTimeout
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.client import Session
from tests.conformance import windows
from tests.hvsim.guest.trial import TIMEOUT, Guest, Trial, make_trial
from tests.hvsim.host import checkpoints, crashes, power
from tests.hvsim.host.faults import plan_fault
from tests.hvsim.host.machines import NetworkAdapter, new_id
from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.state import Fault, Switch, World
from tests.hvsim.host.switches import addresses

BOOT = "(Get-CimInstance Win32_OperatingSystem).LastBootUpTime.ToUniversalTime().Ticks"


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """A host with one running guest."""
    return make_trial(tmp_path / "host")


@pytest.fixture
def guest(trial: Trial) -> Iterator[Guest]:
    """A session into it."""
    with trial.guest() as opened:
        yield opened


def refusal(trial: Trial, session: Session, password: str | None = None) -> CmdletError:
    """Why a session is not opened."""
    with pytest.raises(CmdletError) as refused:
        session.call(trial.opening(password), timeout=TIMEOUT)
    return refused.value


def test_an_opening_says_what_answered(guest: Guest) -> None:
    opened = guest.opened
    assert (opened.PSEdition, opened.UserName, opened.MachineName) == ("Desktop", "Administrator", "SIMGUEST")
    assert opened.PSVersion.startswith("5.1.")
    assert opened.TempPath.endswith("\\Temp\\")
    assert opened.UtcNow.tzinfo is not None
    assert guest.state() == "Opened"


def test_a_wrong_password_is_refused(trial: Trial) -> None:
    with trial.process() as session:
        refused = refusal(trial, session, "wrong")
        assert refused.message.endswith("The credential is invalid.")
        assert refused.error_id == "PSSessionOpenFailed,Microsoft.PowerShell.Commands.NewPSSessionCommand"
        assert str(session.call(Script(text("session-state"))).one) == "None"


def test_a_machine_must_be_there_and_exactly_running(trial: Trial) -> None:
    with trial.process() as session:
        with trial.changed() as (world, vm):
            power.pause(world, vm)
        trial.host.advance(1)
        refused = refusal(trial, session)
        assert (refused.error_id.partition(",")[0], refused.category) == ("InvalidVMState", "InvalidArgument")
        trial.machine = "00000000-0000-0000-0000-000000000001"
        assert refusal(trial, session).error_id.startswith("InvalidVMIdNotSingle,")


def test_a_booting_guest_refuses_and_then_takes_a_session(tmp_path: Path) -> None:
    trial = make_trial(tmp_path / "host", HostOptions(speed=1.0, boot=1000.0))
    with trial.changed() as (world, vm):
        crashes.guest_restarts(world, vm)
    with trial.process() as session:
        ids = set()
        for _ in range(8):
            refused = refusal(trial, session)
            assert refused.category == "OpenError"
            ids.add(refused.error_id)
        assert ids <= {"PSSessionOpenFailed", "2100,PSSessionOpenFailed"}
        trial.host.advance(1001)
        assert session.call(trial.opening(), timeout=TIMEOUT).one.PSEdition == "Desktop"


def test_planned_faults_of_the_opening(trial: Trial) -> None:
    plan_fault(trial.host.folder, Fault("credential-invalid"))
    plan_fault(trial.host.folder, Fault("psdirect-hangs", times=2))
    with trial.process() as session:
        with pytest.raises(CommandTimeout):
            session.run(trial.opening(), timeout=1.0)
        with pytest.raises(CommandTimeout):
            session.run(trial.opening(), timeout=1.0)
        assert refusal(trial, session).message.endswith("The credential is invalid.")
        assert session.call(trial.opening(), timeout=TIMEOUT).one.PSEdition == "Desktop"


def test_a_fresh_guest_of_a_rough_host_refuses_its_own_password_for_a_moment(tmp_path: Path) -> None:
    trial = make_trial(tmp_path / "host", HostOptions(field=True, speed=1.0, boot=100.0))
    with trial.changed() as (_, vm):
        assert vm.login_at > vm.direct_at
        vm.login_at += 100
    with trial.process() as session:
        assert refusal(trial, session).message.endswith("The credential is invalid.")
        trial.host.advance(400)
        assert session.call(trial.opening(), timeout=TIMEOUT).one.PSEdition == "Desktop"


def test_machines_of_one_switch_reach_each_other(trial: Trial, guest: Guest) -> None:
    with trial.changed() as (world, vm):
        other = copy.deepcopy(vm)
        other.id, switch = new_id(), Switch("private", "Private")
        world.machines[other.id], world.switches[switch.id] = other, switch
        for number, machine in enumerate((vm, other)):
            machine.settings.services["KeyValue"] = True
            machine.settings.adapters = [NetworkAdapter(mac=f"00155D00000{number}", switch=switch.id)]
        address = addresses(world, other, other.settings.adapters[0])[0]
    assert guest.run("ping.exe", "-n", "1", "-w", "2000", address)
    with trial.changed() as (world, _):
        world.machines[other.id].settings.adapters[0].switch = None
    lost = guest.run("ping.exe", "-n", "1", "-w", "2000", address)
    assert lost.returncode == 1
    assert "Request timed out." in lost.stdout
    assert guest.ps(windows.ADAPTERS).check().all == ["Ethernet"]


def test_without_a_session_a_script_is_refused(trial: Trial) -> None:
    with trial.process() as session:
        result = session.run(Script(text("run-script"), Script="1"), timeout=TIMEOUT)
        assert result.failure is not None
        assert result.failure.error_id.startswith("ParameterArgumentValidationError,")


def ending(how: str, world: World, trial: Trial) -> None:
    """End the guest's life."""
    vm = world.machine(trial.machine)
    match how:
        case "turn off":
            power.turn_off(world, vm)
        case "reset":
            power.reset(world, vm)
        case "save":
            power.save(world, vm)
        case "bugcheck":
            crashes.bugcheck(world, vm, "0xD1")
        case "worker":
            crashes.worker_dies(world, vm)


@pytest.mark.parametrize("how", ["turn off", "reset", "save", "bugcheck", "worker"])
def test_the_end_of_a_life_breaks_its_session(trial: Trial, guest: Guest, how: str) -> None:
    with trial.changed() as (world, _):
        ending(how, world, trial)
    first = guest.outer("1")
    assert (first.output, first.failure) == ([], None), "the pipeline has to end as completed"
    assert [error.error_id for error in first.errors] == ["JobFailure"]
    assert guest.state() == "Broken"
    second = guest.outer("1")
    assert [error.error_id.partition(",")[0] for error in second.errors] == ["InvokeCommandCommandInvalidSessionState"]


def test_a_guest_that_dies_while_a_script_runs_ends_it(trial: Trial, guest: Guest) -> None:
    runner = Script(text("run-script"), Script='"started"; Start-Sleep 100000')
    with guest.session.start(runner, timeout=TIMEOUT) as running:
        items = running.items()
        assert next(items).value == "started"
        with trial.changed() as (world, vm):
            crashes.bugcheck(world, vm, "0xD1")
        result = running.result()
    assert [error.error_id for error in result.errors] == ["2100,PSSessionStateBroken"]
    assert guest.state() == "Broken"


@pytest.mark.parametrize("script", ["while ($true) {}", "Start-Sleep 100000", "ping -t localhost | Out-Null"])
def test_a_stopped_script_leaves_the_session_usable(guest: Guest, script: str) -> None:
    with pytest.raises(CommandTimeout):
        guest.session.run(Script(text("run-script"), Script=script), timeout=1.0)
    assert guest.state() == "Opened"
    assert guest.ps("1").output == [1]
    assert "ping.exe" not in guest.run("tasklist").stdout


def test_a_paused_guest_makes_calls_wait(trial: Trial, guest: Guest) -> None:
    with trial.changed() as (world, vm):
        power.pause(world, vm)
    trial.host.advance(1)
    with pytest.raises(CommandTimeout):
        guest.session.run(Script(text("run-script"), Script="1"), timeout=0.7)
    assert guest.state() == "Opened"
    with trial.changed() as (world, vm):
        power.unpause(world, vm)
    trial.host.advance(1)
    assert guest.ps("1").output == [1]


def test_disk_lasts_and_memory_does_not(trial: Trial, guest: Guest) -> None:
    guest.run("cmd", "/c", "echo kept>C:\\kept.txt").check()
    guest.run("sc", "start", "wuauserv").check()
    trial.restart_cold()
    with trial.guest() as later:
        assert later.run("cmd", "/c", "type C:\\kept.txt").stdout == "kept\r\n"
        assert "STOPPED" in later.run("sc", "query", "wuauserv").stdout


def test_a_standard_checkpoint_brings_disk_and_memory_back(trial: Trial, guest: Guest) -> None:
    guest.run("cmd", "/c", "echo before>C:\\step.txt").check()
    guest.run("sc", "start", "wuauserv").check()
    guest.run("cmd", "/s", "/c", 'start "" /b ping -n 100000 localhost').check()
    with trial.changed() as (world, vm):
        point = checkpoints.take(world, vm, "point").id
    trial.host.advance(5)
    guest.run("cmd", "/c", "echo after>C:\\step.txt").check()
    guest.run("sc", "stop", "wuauserv").check()
    guest.run("taskkill", "/im", "ping.exe").check()
    trial.host.advance(600)
    with trial.changed() as (world, vm):
        power.turn_off(world, vm)
    trial.host.advance(1)
    with trial.changed() as (world, vm):
        checkpoints.restore(world, vm, vm.checkpoints[point])
    trial.host.advance(5)
    with trial.changed() as (world, vm):
        power.start(world, vm)
    trial.host.advance(3)
    assert guest.state() == "Broken"
    with trial.guest() as later:
        assert later.run("cmd", "/c", "type C:\\step.txt").stdout == "before\r\n"
        assert "RUNNING" in later.run("sc", "query", "wuauserv").stdout
        assert "ping.exe" in later.run("tasklist").stdout
        behind = later.ps(windows.CLOCK).one / 1000
        with trial.changed() as (world, _):
            now = world.now
        assert now - behind > 500, "the guest's clock stands where it was saved"
        set_to = later.ps(text("set-clock"), UtcNow=later.opened.UtcNow.replace(year=2031)).check().one
        assert set_to.year == 2031


def test_the_guest_goes_down_and_comes_back_by_itself(trial: Trial, guest: Guest) -> None:
    boot = guest.ps(BOOT).one
    guest.run("shutdown.exe", "/r", "/t", "0").check()
    assert guest.outer("1").errors
    trial.host.advance(trial.host.options.boot + 1)
    with trial.guest() as later:
        assert later.ps(BOOT).one > boot
        later.ps("Stop-Computer -Force")
        trial.host.advance(10)
        with trial.changed() as (_, vm):
            assert vm.state_name.name == "Off"


@pytest.mark.parametrize("how", ["program", "script"])
def test_a_crash_on_request_is_an_event_of_the_host(trial: Trial, guest: Guest, how: str) -> None:
    result = guest.ps(windows.CRASH) if how == "script" else guest.ps("bugcheck 0xE2")
    assert result.errors or how == "program"
    with trial.changed() as (world, _):
        events = [event for event in world.events if event.id == 18590]
    assert [event.properties[2] for event in events] == ["0xC0000420" if how == "script" else "0xE2"]
    assert guest.outer("1").errors


def test_the_guest_sees_what_the_machine_is_like(trial: Trial, guest: Guest) -> None:
    with trial.changed() as (_, vm):
        vm.settings.processor.count, vm.settings.ram.startup = 3, 3 * 2**30
        vm.settings.security.tpm, vm.settings.processor.nested, vm.settings.firmware.secure_boot = True, True, False
    seen = [
        guest.ps(script).check().one
        for script in (
            *(windows.PROCESSORS, windows.MEMORY, windows.TPM),
            *(windows.VIRTUALIZATION, windows.SECURE_BOOT, windows.FIRMWARE),
        )
    ]  # fmt: skip
    assert seen == [3, 3 * 2**30, "2.0, 0, 1.38", True, False, "Uefi"]
    assert guest.ps(windows.ADAPTERS).check().all == []
