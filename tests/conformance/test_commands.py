"""Commands in the guest, through no network: streams, codes, input, deadlines, waiting."""

from __future__ import annotations

import pytest

from pytest_hyperv import VirtualMachine
from pytest_hyperv.errors import CommandFailed, CommandTimeout
from tests.conformance.guests import guest_of

pytestmark = [pytest.mark.feature(7), pytest.mark.hyperv(reset="module")]
FOR_EVER = 4242


def test_streams_and_exit_code_come_back_apart(hyperv_vm: VirtualMachine) -> None:
    result = hyperv_vm.run(guest_of(hyperv_vm).fail("out", "err", 3))
    assert result.returncode == 3
    assert (result.stdout.split(), result.stderr.split()) == (["out"], ["err"])
    assert not result
    assert result.duration > 0
    with pytest.raises(CommandFailed, match="returned 3") as failed:
        result.check()
    assert failed.value.result is result


@pytest.mark.parametrize("code", [0, 1, 255])
def test_any_exit_code_comes_back(hyperv_vm: VirtualMachine, code: int) -> None:
    assert hyperv_vm.run(guest_of(hyperv_vm).fail("out", "err", code)).returncode == code


def test_input_reaches_the_program_byte_for_byte(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    result = hyperv_vm.run(guest.copy_stdin, input=guest.stdin_sample)
    assert result.check().stdout_bytes == guest.stdin_sample


def test_output_is_handed_over_as_it_comes(hyperv_vm: VirtualMachine) -> None:
    pieces: list[tuple[int, bytes]] = []
    command = guest_of(hyperv_vm).fail("out", "err", 0)
    hyperv_vm.run(command, on_output=lambda stream, data: pieces.append((stream, data))).check()
    assert b"".join(data for stream, data in pieces if stream == 1).split() == [b"out"]
    assert b"".join(data for stream, data in pieces if stream == 2).split() == [b"err"]


def test_a_program_runs_in_the_folder_it_was_told(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    assert hyperv_vm.run(guest.where, cwd=guest.root).check().stdout.strip() == guest.root


def test_the_environment_is_added_to_for_one_program(hyperv_vm: VirtualMachine) -> None:
    command = guest_of(hyperv_vm).variable("CONFORMANCE")
    assert hyperv_vm.run(command, env={"CONFORMANCE": "a word, and more"}).check().stdout.strip() == "a word, and more"
    assert "a word" not in hyperv_vm.run(command).stdout


def test_the_shell_gets_its_line_as_it_was_written(hyperv_vm: VirtualMachine) -> None:
    line, printed = guest_of(hyperv_vm).quoted
    assert hyperv_vm.sh(line).check().stdout == printed


def test_a_program_that_is_not_there_says_so(hyperv_vm: VirtualMachine) -> None:
    with pytest.raises(CommandFailed, match="no-such-program"):
        hyperv_vm.run(["no-such-program"])


def test_a_command_that_never_ends_is_ended_in_the_guest(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    with pytest.raises(CommandTimeout) as late:
        hyperv_vm.run(guest.say_and_sleep("begun", FOR_EVER), timeout=3)
    assert late.value.stdout.split() == [b"begun"]
    assert not guest.sleeps(hyperv_vm), "the program still runs"
    assert hyperv_vm.run(guest.fine), "the session did not outlive the command"


def test_a_program_can_be_talked_to_while_it_runs(hyperv_vm: VirtualMachine) -> None:
    if hyperv_vm.image.guest_road in ("psdirect", "winrm"):
        pytest.skip("this guest cannot: a program that was spawned through PowerShell has no standard input")
    process = hyperv_vm.spawn(guest_of(hyperv_vm).copy_stdin)
    process.write(b"one line\r\n")
    process.close_stdin()
    said = b""
    while (piece := process.read(timeout=30)) is not None:
        assert piece[0] == 1
        said += piece[1]
    assert said == b"one line\r\n"
    assert process.wait(timeout=30) == 0


def test_a_program_can_be_ended_while_it_runs(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    process = hyperv_vm.spawn(guest.say_and_sleep("begun", FOR_EVER))
    piece = process.read(timeout=30)
    assert piece is not None
    assert piece[0] == 1
    assert piece[1].split() == [b"begun"]
    process.kill()
    assert process.wait(timeout=30) != 0
    assert not guest.sleeps(hyperv_vm), "the program still runs"


def test_waiting_ends_with_success(hyperv_vm: VirtualMachine) -> None:
    guest = guest_of(hyperv_vm)
    hyperv_vm.write_text(guest.path("here"), "so that the folder is there")
    late = guest.path("late")
    process = hyperv_vm.spawn(guest.make_late(late))
    hyperv_vm.wait_for_file(late, timeout=60)
    assert hyperv_vm.wait_until_succeeds(guest.exists(late), timeout=60)
    assert process.wait(timeout=30) == 0


def test_waiting_for_a_port_ends_when_it_answers_or_says_what_it_saw(hyperv_vm: VirtualMachine) -> None:
    hyperv_vm.wait_for_port(guest_of(hyperv_vm).serve(hyperv_vm), timeout=60)
    with pytest.raises(CommandTimeout, match=r"port 4243 of localhost did not answer in 1 s; last seen: .+"):
        hyperv_vm.wait_for_port(4243, timeout=1)


def test_waiting_in_vain_says_what_was_seen_last(hyperv_vm: VirtualMachine) -> None:
    with pytest.raises(CommandTimeout, match=r"last seen: .* returned 7"):
        hyperv_vm.wait_until_succeeds(guest_of(hyperv_vm).fail("out", "err", 7), timeout=2)
