"""The fallback road, against Debian's own qemu-ga running here on a socket."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from pytest_hyperv.backends.qemu.guest_agent import GuestAgent
from pytest_hyperv.errors import CommandFailed, CommandTimeout, CopyError, GuestCrashed, GuestError, SessionLost
from pytest_hyperv.guest import FileFacts

ANSWER = 20.0


@retry(retry=retry_if_exception_type(OSError), stop=stop_after_delay(ANSWER), wait=wait_fixed(0.02), reraise=True)
def dial(address: Path) -> socket.socket:
    """A connection to the agent, as soon as it listens."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(address))
    except OSError:
        sock.close()
        raise
    return sock


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Path]:
    """Where an agent listens; it serves one connection after another and cannot set this machine's clock."""
    program = shutil.which("qemu-ga", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no qemu-ga on this machine (Debian package qemu-guest-agent)")
    place = tmp_path / "agent"
    blocked = "guest-set-time,guest-shutdown,guest-suspend-disk,guest-suspend-ram,guest-fsfreeze-freeze"
    options = ["-m", "unix-listen", "-p", str(place), "-t", str(tmp_path), "-f", str(tmp_path / "pid"), "-b", blocked]
    process = subprocess.Popen([program, *options], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield place
    process.kill()
    process.wait()


@pytest.fixture
def agent(address: Path) -> Iterator[GuestAgent]:
    """A session with it."""
    opened = GuestAgent(dial(address))
    opened.ping(ANSWER)
    yield opened
    opened.close()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def test_exit_code_and_both_streams_come_back_apart(agent: GuestAgent) -> None:
    result = agent.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.returncode, result.stdout_bytes, result.stderr_bytes) == (3, b"out\n", b"err\n")
    assert agent.run(["sh", "-c", "kill -TERM $$"]).returncode == 143


def test_input_folder_and_environment_are_given(agent: GuestAgent, tmp_path: Path) -> None:
    result = agent.run(
        ["sh", "-c", 'pwd; echo "$ONE"; cat'], cwd=str(tmp_path), env={"ONE": "a b"}, input=iter([b"pie", b"ces"])
    )
    assert result.stdout == f"{tmp_path}\na b\npieces"


def test_what_cannot_be_started_is_an_error(agent: GuestAgent) -> None:
    for argv in (["/no/such/program"], [], ["a\0b"]):
        with pytest.raises(CommandFailed):
            agent.run(argv)
    with pytest.raises(CommandFailed, match="No such file"):
        agent.spawn(["/no/such/program"])


def test_time_out_kills_the_tree_and_keeps_what_it_said(agent: GuestAgent) -> None:
    with pytest.raises(CommandTimeout, match="was killed in the guest") as caught:
        agent.run(["sh", "-c", "echo $$; sleep 1000 & echo $!; sleep 1000; :"], timeout=1)
    pids = [int(pid) for pid in caught.value.stdout.split()]
    assert len(pids) == 2
    assert not [pid for pid in pids if running(pid)]


def test_output_beyond_a_limit_is_an_error(agent: GuestAgent) -> None:
    with pytest.raises(CommandFailed, match="wrote more than 1000 bytes to stdout"):
        agent.run(["head", "-c", "2000", "/dev/zero"], output_limit=1000)
    with pytest.raises(CommandFailed, match="16 MiB"):
        agent.run(["head", "-c", "17000000", "/dev/zero"])
    with pytest.raises(CommandFailed, match="copy the input into the guest as a file"):
        agent.run(["cat"], input=bytes(17 << 20))


def test_a_spawned_program_is_waited_for_read_and_killed(agent: GuestAgent) -> None:
    process = agent.spawn(["sh", "-c", "echo out; echo err >&2; exit 4"])
    assert process.wait(ANSWER) == 4
    assert [process.read(), process.read(), process.read()] == [(1, b"out\n"), (2, b"err\n"), None]
    endless = agent.spawn(["sleep", "1000"])
    with pytest.raises(CommandTimeout, match="still runs"):
        endless.wait(0.05)
    with pytest.raises(GuestError, match="no standard input"):
        endless.write(b"x")
    endless.kill()
    assert endless.wait(ANSWER) == 137


def test_files_are_exact_and_whole_or_not_at_all(agent: GuestAgent, tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    target = tmp_path / "new" / "file"
    agent.write_file(str(target), [data[:7], b"", data[7:]], mode=0o640, timeout=ANSWER)
    assert target.read_bytes() == data
    assert b"".join(agent.read_file(str(target), timeout=ANSWER)) == data
    assert agent.stat(str(target)) == FileFacts("file", len(data), 0o640)
    assert agent.stat(str(target / "below")) is None

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        agent.write_file(str(target), broken(), mode=0o640, timeout=ANSWER)
    assert target.read_bytes() == data
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_file_errors_name_the_path(agent: GuestAgent) -> None:
    with pytest.raises(CopyError, match="No such file") as caught:
        list(agent.read_file("/no/such/file", timeout=ANSWER))
    assert caught.value.path == "/no/such/file"
    with pytest.raises(CopyError, match="/proc/nope"):
        agent.write_file("/proc/nope/file", [b"x"], mode=0o600, timeout=ANSWER)


def test_a_clock_that_may_not_be_set_is_an_error(agent: GuestAgent) -> None:
    with pytest.raises(GuestError, match="clock cannot be set"):
        agent.set_clock(0.0)


def test_a_half_command_and_stale_answers_of_others_are_skipped(address: Path) -> None:
    sock = dial(address)
    sock.sendall(b'{"execute": "guest-ping"}\n{"execute": "guest-info", "argu')
    agent = GuestAgent(sock)
    agent.ping(ANSWER)
    assert agent.run(["echo", "mine"]).stdout == "mine\n"
    agent.close()


def test_an_agent_that_is_not_there_yet_is_reached_later(address: Path) -> None:
    ours, theirs = socket.socketpair()
    agent = GuestAgent(ours)
    with pytest.raises(CommandTimeout):
        agent.ping(0.05)
    with dial(address) as real, ThreadPoolExecutor(2) as pool:
        pool.submit(relay, theirs, real)
        pool.submit(relay, real, theirs)
        agent.ping(ANSWER)
        agent.close()


def relay(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes one way until an end closes."""
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def test_abort_ends_a_waiting_call_with_its_reason(agent: GuestAgent) -> None:
    reason = GuestCrashed("the guest panicked", kind="panic")
    process = agent.spawn(["sleep", "1000"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.wait)
        with pytest.raises(CommandTimeout):
            agent.run(["sleep", "1000"], timeout=0.1)
        agent.abort(reason)
        with pytest.raises(GuestCrashed) as caught:
            waiting.result(ANSWER)
    os.kill(process.pid, signal.SIGKILL)
    assert caught.value is reason
    with pytest.raises(GuestCrashed):
        agent.ping(ANSWER)


def test_the_end_of_the_stream_is_a_lost_session() -> None:
    ours, theirs = socket.socketpair()
    agent = GuestAgent(ours)
    theirs.close()
    with pytest.raises(SessionLost):
        agent.ping(ANSWER)
    agent.close()
    agent.close()
