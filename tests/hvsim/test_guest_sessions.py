"""Sessions into the simulated guest: what refuses one, what ends one, and what its memory, disk and clock keep."""

from __future__ import annotations

import copy
import hashlib
import threading
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
    with trial.process() as session:
        assert refusal(trial, session).message.endswith("The credential is invalid.")
        trial.host.advance(200)
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
    boot = guest.ps(windows.BOOT).one
    guest.run("shutdown.exe", "/r", "/t", "0").check()
    assert guest.outer("1").errors
    trial.host.advance(trial.host.options.boot + 1)
    with trial.guest() as later:
        assert later.ps(windows.BOOT).one > boot
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


def test_files_travel_in_pieces_with_their_digest(guest: Guest) -> None:
    data = bytes(range(256)) * 12_000
    pieces = [data[at : at + 2**20] for at in range(0, len(data), 2**20)]
    path, split = r"C:\made\on\the\way\data.bin", 2 * 2**20
    call = guest.session.call
    assert call(Script(text("copy-in"), Path=path, Offset=0), input=pieces[:2], timeout=TIMEOUT).one.Length == split
    with pytest.raises(CmdletError, match="does not end at byte 7"):
        call(Script(text("copy-in"), Path=path, Offset=7), input=pieces[2:], timeout=TIMEOUT)
    rest = call(Script(text("copy-in"), Path=path, Offset=split), input=pieces[2:], timeout=TIMEOUT)
    assert rest.one.Length == len(data)
    assert guest.ps(text("stat-path"), Path=path).output == []
    done = call(Script(text("finish-copy"), Path=path), timeout=TIMEOUT).one
    assert (done.Length, done.Sha256) == (len(data), hashlib.sha256(data).hexdigest())
    *back, end = call(Script(text("copy-out"), Path=path, Offset=5, Count=2**21), timeout=TIMEOUT).all
    assert (b"".join(back), end.Read, end.Length) == (data[5 : 5 + 2**21], 2**21, len(data))
    digest = call(Script(text("copy-out"), Path=path, Offset=0, Digest=True), timeout=TIMEOUT).one
    assert digest.Sha256 == done.Sha256
    with pytest.raises(CmdletError, match="Could not find"):
        call(Script(text("copy-out"), Path=r"C:\absent", Offset=0), timeout=TIMEOUT)
    empty = call(Script(text("copy-in"), Path=r"C:\empty", Offset=0), timeout=TIMEOUT)
    assert empty.output == []
    assert call(Script(text("finish-copy"), Path=r"C:\empty"), timeout=TIMEOUT).one.Length == 0


def test_facts_of_paths(guest: Guest) -> None:
    guest.ps(text("make-folder"), Path=r"C:\a\b").check()
    guest.ps(text("make-folder"), Path=r"C:\a\b").check()
    guest.run("cmd", "/c", "echo 123>C:\\a\\f& mklink C:\\a\\l C:\\a\\f").check()
    kinds = {
        path: guest.ps(text("stat-path"), Path=path).check().all for path in (r"C:\A\B", "C:/a/f", r"C:\a\l", r"C:\no")
    }
    assert [[(one.Kind, one.Length, one.ReadOnly) for one in found] for found in kinds.values()] == [
        [("directory", 0, False)], [("file", 5, False)], [("symlink", 0, False)], [],
    ]  # fmt: skip
    refused = guest.ps(text("make-folder"), Path=r"C:\a\f")
    assert refused.failure is not None
    assert refused.failure.error_id == "IOException"
    guest.ps(text("remove-file"), Path=r"C:\a\f").check()
    guest.ps(text("remove-file"), Path=r"C:\a\f").check()
    assert guest.ps(text("stat-path"), Path=r"C:\a\f").output == []


def write_until(guest: Guest, heard: threading.Event) -> None:
    """Let the guest write to its serial port, again and again until it was heard: what comes too early is lost."""
    while not heard.is_set():
        guest.run("cmd", "/s", "/c", "echo word>COM1").check()


def test_the_serial_port_is_heard_on_the_host(trial: Trial, guest: Guest) -> None:
    guest.run("cmd", "/s", "/c", "echo before>COM1").check()
    with trial.process() as listener:
        script = Script(text("console"), PipeName="trial", TimeoutMilliseconds=5000)
        with listener.start(script, timeout=TIMEOUT) as running:
            heard = threading.Event()
            writer = threading.Thread(target=write_until, args=(guest, heard))
            writer.start()
            try:
                assert next(running.items()).value.startswith(b"word")
            finally:
                heard.set()
                writer.join(TIMEOUT)
            with trial.changed() as (world, vm):
                power.turn_off(world, vm)
            trial.host.advance(1)
            assert not running.result().errors, "the pipe ends with the machine"
        with pytest.raises(CmdletError, match="timed out"):
            listener.call(Script(text("console"), PipeName="absent", TimeoutMilliseconds=100), timeout=TIMEOUT)


def test_a_screenshot_has_the_size_of_the_screen(trial: Trial, guest: Guest) -> None:
    taken = guest.session.call(Script(text("screenshot"), VMId=trial.machine), timeout=TIMEOUT).one
    assert len(taken.Data) == 2 * taken.Width * taken.Height
    assert len(set(taken.Data)) > 1
    with trial.changed() as (world, vm):
        power.turn_off(world, vm)
    trial.host.advance(1)
    with pytest.raises(CmdletError, match="shows no screen"):
        guest.session.call(Script(text("screenshot"), VMId=trial.machine), timeout=TIMEOUT)


def test_files_of_the_host_are_put_in_place_whole(trial: Trial) -> None:
    path = r"C:\images\disk.vhdx"
    with trial.process() as session:
        put = Script(text("put-file"), Path=path, Offset=0)
        assert session.call(put, input=[b"abc", b"def"], timeout=TIMEOUT).one.Length == 6
        assert not trial.host.drives.resolve(path).exists()
        more = Script(text("put-file"), Path=path, Offset=6)
        assert session.call(more, input=[b"g"], timeout=TIMEOUT).one.Length == 7
        done = session.call(Script(text("finish-file"), Path=path), timeout=TIMEOUT).one
        assert done.Sha256 == hashlib.sha256(b"abcdefg").hexdigest()
        assert trial.host.drives.resolve(path).read_bytes() == b"abcdefg"
