"""The machine a test holds, on real machines: commands, files, power, checkpoints, and what is seen from outside."""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path

import pytest

from pytest_hyperv import VirtualMachine
from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.backends.qemu.saving import quieten
from pytest_hyperv.errors import CommandFailed, CommandTimeout, CopyError, MachineError, MachineStateError


def test_a_machine_boots_with_uefi_and_has_no_network(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.run(["test", "-d", "/sys/firmware/efi"])
    interfaces = hyperv_vm.run(["ls", "/sys/class/net"]).check().stdout.split()
    assert interfaces == ["lo"]


@pytest.mark.hyperv(network="nat", cpus=2, dynamic_memory=("256MiB", "768MiB"))
def test_network_processors_and_dynamic_memory_are_as_asked(hyperv_vm: VirtualMachine) -> None:
    interfaces = hyperv_vm.run(["ls", "/sys/class/net"]).check().stdout.split()
    assert len(interfaces) == 2
    assert hyperv_vm.address
    assert hyperv_vm.run(["nproc"]).stdout == "2\n"
    total = int(hyperv_vm.run(["awk", "/MemTotal/ {print $2}", "/proc/meminfo"]).stdout)
    assert 600_000 < total < 768 * 1024, "the guest does not see its maximum"


class TestCommands:
    @pytest.mark.hyperv(reset="class")
    def test_streams_code_and_time_come_back_apart(self, hyperv_vm: VirtualMachine) -> None:
        result = hyperv_vm.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
        assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 3)
        assert not result
        assert result.duration > 0
        with pytest.raises(CommandFailed, match="returned 3") as failed:
            result.check()
        assert failed.value.result is result

    @pytest.mark.hyperv(reset="class")
    def test_input_folder_and_environment_reach_the_program(self, hyperv_vm: VirtualMachine) -> None:
        result = hyperv_vm.run(["sh", "-c", 'pwd; echo "$WORD"; cat'], input="typed", cwd="/usr", env={"WORD": "said"})
        assert result.check().stdout == "/usr\nsaid\ntyped"

    @pytest.mark.hyperv(reset="class")
    def test_arguments_are_never_read_by_a_shell(self, hyperv_vm: VirtualMachine) -> None:
        odd = ["$(reboot)", "a b", "'\"", "", "*", "ü\n"]
        assert hyperv_vm.run(["printf", "%s|", *odd]).stdout == "".join(f"{word}|" for word in odd)

    @pytest.mark.hyperv(reset="class")
    def test_a_program_that_is_not_there_says_so(self, hyperv_vm: VirtualMachine) -> None:
        with pytest.raises(CommandFailed, match="no-such-program"):
            hyperv_vm.run(["no-such-program"])

    @pytest.mark.hyperv(reset="class")
    def test_a_command_that_never_ends_is_killed_in_the_guest(self, hyperv_vm: VirtualMachine) -> None:
        with pytest.raises(CommandTimeout) as timeout:
            hyperv_vm.run(["sh", "-c", "echo begun; exec sleep 4242"], timeout=2)
        assert timeout.value.stdout == b"begun\n"
        assert not hyperv_vm.run(["pgrep", "-f", "sleep 4242"]), "the program still runs"

    @pytest.mark.hyperv(reset="class")
    def test_a_spawned_program_streams_and_can_be_killed(self, hyperv_vm: VirtualMachine) -> None:
        process = hyperv_vm.spawn(["sh", "-c", "read word; echo got $word; exec sleep 4343"])
        process.write(b"it\n")
        assert process.read(timeout=20) == (1, b"got it\n")
        process.kill()
        assert process.wait(timeout=20) == 128 + 9

    @pytest.mark.hyperv(reset="class")
    def test_waiting_ends_with_success_or_says_what_it_last_saw(self, hyperv_vm: VirtualMachine) -> None:
        hyperv_vm.spawn(["sh", "-c", "sleep 0.5; touch /run/arrived"])
        hyperv_vm.wait_for_file("/run/arrived", timeout=20)
        assert hyperv_vm.wait_until_succeeds(["test", "-e", "/run/arrived"], timeout=20)
        with pytest.raises(CommandTimeout, match="last seen: `false` returned 1"):
            hyperv_vm.wait_until_succeeds(["false"], timeout=0.5)


class TestFiles:
    @pytest.mark.hyperv(reset="class")
    def test_a_large_file_comes_through_unchanged(self, hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
        content = random.Random(7).randbytes(20 * 1024 * 1024 + 1)
        (tmp_path / "big").write_bytes(content)
        hyperv_vm.copy_in(tmp_path / "big", "/var/tmp/big")
        digest = hyperv_vm.run(["sha256sum", "/var/tmp/big"]).check().stdout.split()[0]
        assert digest == hashlib.sha256(content).hexdigest()
        assert hyperv_vm.copy_out("/var/tmp/big", tmp_path / "back").read_bytes() == content

    @pytest.mark.hyperv(reset="class")
    def test_a_tree_comes_through_with_modes_links_and_odd_names(
        self, hyperv_vm: VirtualMachine, tmp_path: Path
    ) -> None:
        tree = tmp_path / "tree"
        (tree / "deep" / "er").mkdir(parents=True)
        (tree / "deep" / "er" / "run.sh").write_text("#!/bin/sh\necho ran\n")
        (tree / "deep" / "er" / "run.sh").chmod(0o755)
        (tree / "sp ace ü").write_bytes(bytes(range(256)))
        (tree / "link").symlink_to("deep/er/run.sh")
        (tree / "empty").mkdir()
        hyperv_vm.copy_in(tree, "/srv/tree")
        assert hyperv_vm.run(["/srv/tree/link"]).stdout == "ran\n"
        back = hyperv_vm.copy_out("/srv/tree", tmp_path / "back")
        assert (back / "sp ace ü").read_bytes() == bytes(range(256))
        assert (back / "link").readlink() == Path("deep/er/run.sh")
        assert (back / "deep" / "er" / "run.sh").stat().st_mode & 0o777 == 0o755
        assert (back / "empty").is_dir()

    @pytest.mark.hyperv(reset="class")
    def test_a_folder_as_target_takes_the_name(self, hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
        (tmp_path / "note").write_text("hello")
        hyperv_vm.copy_in(tmp_path / "note", "/root/made/on/the/way/")
        assert hyperv_vm.read_text("/root/made/on/the/way/note") == "hello"
        hyperv_vm.write_text("/root/other", "bye")
        assert hyperv_vm.copy_out("/root/other", tmp_path) == tmp_path / "other"

    @pytest.mark.hyperv(reset="class")
    def test_a_path_that_is_not_there_is_named(self, hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
        with pytest.raises(CopyError, match="/no/such/file"):
            hyperv_vm.read_bytes("/no/such/file")
        with pytest.raises(CopyError, match="/no/such/file"):
            hyperv_vm.copy_out("/no/such/file", tmp_path / "x")
        with pytest.raises(CopyError, match="does not exist on this host"):
            hyperv_vm.copy_in(tmp_path / "absent", "/root/x")
        assert list(tmp_path.iterdir()) == []


def test_each_test_gets_a_clean_machine_first(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.run(["test", "!", "-e", "/root/mark"])
    hyperv_vm.write_text("/root/mark", "x")


def test_each_test_gets_a_clean_machine_second(hyperv_vm: VirtualMachine) -> None:
    assert hyperv_vm.run(["test", "!", "-e", "/root/mark"])
    hyperv_vm.write_text("/root/mark", "x")


def test_the_guest_clock_is_right_after_a_clone(hyperv_vm: VirtualMachine) -> None:
    assert abs(float(hyperv_vm.run(["date", "+%s.%N"]).stdout) - time.time()) < 5


def test_checkpoints_form_a_tree_and_bring_memory_and_disk_back(hyperv_vm: VirtualMachine) -> None:
    hyperv_vm.sh("setsid sleep 4444 > /dev/null 2>&1 &").check()
    hyperv_vm.write_text("/root/step", "0")
    clean = hyperv_vm.checkpoint("clean")
    hyperv_vm.write_text("/root/step", "1")
    one = hyperv_vm.checkpoint("one")
    hyperv_vm.restore(clean)
    assert hyperv_vm.read_text("/root/step") == "0"
    assert hyperv_vm.run(["pgrep", "-f", "sleep 4444"]), "the memory of the checkpoint is not there"
    assert abs(float(hyperv_vm.run(["date", "+%s"]).stdout) - time.time()) < 5
    hyperv_vm.checkpoint("other")
    hyperv_vm.restore(one)
    assert hyperv_vm.read_text("/root/step") == "1"
    assert str(hyperv_vm.checkpoints) == "state\n  clean\n    one  <- here\n    other"
    hyperv_vm.delete_checkpoint(clean)
    assert [node.name for node in hyperv_vm.checkpoints.root.children] == ["one", "other"]
    with pytest.raises(MachineError, match="no such checkpoint"):
        hyperv_vm.restore(clean)


def test_a_guest_that_is_about_to_be_saved_is_waited_for_until_it_is_idle(hyperv_vm: VirtualMachine) -> None:
    until = "end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do :; done; touch /root/done"
    hyperv_vm.spawn(["sh", "-c", until])
    quieten(hyperv_vm.inner.session, "linux")
    assert hyperv_vm.run(["test", "-e", "/root/done"])


def test_power_off_cold_checkpoint_and_start(hyperv_vm: VirtualMachine) -> None:
    hyperv_vm.write_text("/root/kept", "on disk")
    cold = hyperv_vm.checkpoint("cold", memory=False)
    hyperv_vm.write_text("/root/kept", "changed")
    hyperv_vm.shutdown()
    assert hyperv_vm.state is MachineState.OFF
    with pytest.raises(MachineStateError, match="must be running to use its guest, it is off"):
        hyperv_vm.run(["true"])
    hyperv_vm.restore(cold)
    assert hyperv_vm.state is MachineState.OFF
    hyperv_vm.start()
    assert hyperv_vm.read_text("/root/kept") == "on disk"
    with pytest.raises(MachineStateError, match="must be off to be started, it is running"):
        hyperv_vm.start()


def test_a_guest_that_reboots_itself_is_waited_for(hyperv_vm: VirtualMachine) -> None:
    hyperv_vm.write_text("/run/gone-after-reboot", "x")
    hyperv_vm.run(["systemctl", "reboot", "--no-block"])
    hyperv_vm.wait_until_succeeds(["test", "!", "-e", "/run/gone-after-reboot"], timeout=120)
    assert not hyperv_vm.crashed


def test_pause_stops_the_guest_and_resume_sets_its_clock(hyperv_vm: VirtualMachine) -> None:
    hyperv_vm.pause()
    assert hyperv_vm.state is MachineState.PAUSED
    with pytest.raises(MachineStateError, match="it is paused"):
        hyperv_vm.run(["true"])
    hyperv_vm.resume()
    assert abs(float(hyperv_vm.run(["date", "+%s"]).stdout) - time.time()) < 5


def test_the_screen_and_the_console_are_seen_from_outside(hyperv_vm: VirtualMachine, tmp_path: Path) -> None:
    picture = hyperv_vm.screenshot(tmp_path / "screen.png")
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert (tmp_path / "screen.png").read_bytes() == picture
    hyperv_vm.sh("echo seen-from-outside > /dev/ttyS0").check()
    assert "seen-from-outside" in hyperv_vm.console_text()
