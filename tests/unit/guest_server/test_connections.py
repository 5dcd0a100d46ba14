"""Hosts that come and go: synchronisation, lost connections, aborts, and the guest's goodbye."""

from __future__ import annotations

import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_hyperv.backends.qemu.guest_connection import Listener
from pytest_hyperv.backends.qemu.guest_server import GRACE, GuestServer
from pytest_hyperv.backends.qemu.guest_wire import SYNC, Kind, RunFlags, encode, run_payload
from pytest_hyperv.errors import CommandTimeout, GuestCrashed, SessionLost
from tests.unit.guest_server.conftest import ANSWER, LocalServer, gone, reading_threads, synchronise


def pid_of(text: tuple[int, bytes] | None) -> int:
    assert text is not None
    return int(text[1])


def test_one_host_after_another_is_served(server: LocalServer) -> None:
    for number in range(5):
        session = server.session()
        assert session.run(["echo", str(number)]).stdout == f"{number}\n"
        session.close()


def test_what_ran_for_a_lost_host_is_killed_and_its_files_are_not_left(server: LocalServer, tmp_path: Path) -> None:
    session = server.session()
    pid = pid_of(session.spawn(["sh", "-c", "echo $$; sleep 1000; :"]).read(ANSWER))
    half_written = threading.Event()
    go_on = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        half_written.set()
        go_on.wait(ANSWER)

    with ThreadPoolExecutor(1) as pool:
        write = pool.submit(session.write_file, str(tmp_path / "file"), pieces(), mode=0o644, timeout=ANSWER)
        assert half_written.wait(ANSWER)
        session.close()
        go_on.set()
        with pytest.raises(SessionLost):
            write.result()
    assert gone(pid)
    server.session().close()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("port")] == []


def begin_as_before_the_save(server: LocalServer) -> tuple[socket.socket, int]:
    """A stream on which a host synchronised and started a flood, and then simply is no more; the flood's pid."""
    sock = server.dial()
    synchronise(sock)
    command = run_payload(
        [b"sh", b"-c", b"echo pid $$; exec yes"], flags=RunFlags(0), timeout=0, window=1 << 20, cwd=b"", env={}
    )
    sock.sendall(encode(Kind.RUN, 1, command))
    seen = b""
    while not (told := re.search(rb"pid (\d+)\n", seen)):
        seen += sock.recv(4096)
    return sock, int(told[1])


def test_a_clone_takes_the_stream_over_in_the_middle_of_anything(server: LocalServer) -> None:
    sock, pid = begin_as_before_the_save(server)
    sock.sendall(encode(Kind.DATA, 1, b"x" * 60_000)[:40_000])
    session = GuestServer.connect(sock, ANSWER)
    assert gone(pid)
    assert session.run(["echo", "mine"]).stdout == "mine\n"
    session.close()


def test_half_a_frame_that_ends_in_a_mark_without_its_token_is_waited_for(server: LocalServer) -> None:
    sock = server.dial()
    sock.sendall(b"garbage" + SYNC + b"half a tok")
    session = GuestServer.connect(sock, ANSWER)
    session.ping(ANSWER)
    session.close()


def test_a_server_that_gives_the_session_up_is_noticed_and_can_be_had_again(server: LocalServer) -> None:
    sock = server.dial()
    session = GuestServer.connect(sock.dup(), ANSWER)
    sock.sendall(encode(b"?", 0))
    with pytest.raises(SessionLost, match="unknown kind 63"):
        session.run(["sleep", "1000"], timeout=ANSWER)
    session.close()
    server.session().close()
    sock.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda session: session.run(["sleep", "1000"]),
        lambda session: session.spawn(["sleep", "1000"]).wait(),
        lambda session: session.spawn(["sleep", "1000"]).read(),
        lambda session: session.spawn(["sleep", "1000"]).write(b"x" * 5_000_000),
    ],
    ids=["run", "wait", "read", "write"],
)
def test_abort_ends_waiting_calls_and_later_ones_with_its_reason(
    server: LocalServer, call: Callable[[GuestServer], object]
) -> None:
    session = server.session()
    reason = GuestCrashed("the guest panicked", machine="vm", kind="panic")
    running = session.spawn(["cat"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, session)
        running.write(b"the other call is under way or will find the reason")
        assert running.read(ANSWER)
        session.abort(reason)
        session.abort(SessionLost("later reasons do not count"))
        with pytest.raises(GuestCrashed) as caught:
            waiting.result(ANSWER)
    assert caught.value is reason
    with pytest.raises(GuestCrashed):
        session.ping(ANSWER)
    session.close()
    assert not reading_threads()


def test_close_may_be_called_again_and_leaves_no_thread(server: LocalServer) -> None:
    session = server.session()
    session.close()
    session.close()
    assert not reading_threads()
    with pytest.raises(SessionLost, match="was closed"):
        session.ping(ANSWER)


def test_the_servers_death_is_noticed(server: LocalServer) -> None:
    session = server.session()
    server.process.kill()
    with pytest.raises(SessionLost):
        session.run(["sleep", "1000"])
    assert not session.said_bye
    session.close()
    assert not reading_threads()


def test_an_orderly_shutdown_is_announced_and_ends_what_ran(server: LocalServer) -> None:
    heard = threading.Event()
    session = GuestServer.connect(server.dial(), ANSWER, Listener(on_bye=heard.set))
    process = session.spawn(["sh", "-c", "echo $$; sleep 1000; :"])
    pid = pid_of(process.read(ANSWER))
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises(SessionLost, match="shuts down"):
        process.wait(ANSWER)
    assert heard.wait(ANSWER)
    assert session.said_bye
    assert server.process.wait(ANSWER) == 0
    assert gone(pid)
    session.close()


def test_nobody_answering_is_a_time_out_and_an_end_is_a_loss() -> None:
    ours, theirs = socket.socketpair()
    with pytest.raises(CommandTimeout, match=r"did not answer within 0\.05 s"):
        GuestServer.connect(ours, 0.05)
    theirs.close()
    with pytest.raises(SessionLost):
        GuestServer.connect(ours, ANSWER)
    ours.close()


def test_a_guest_that_stands_still_runs_into_the_deadline(server: LocalServer) -> None:
    session = server.session()
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(CommandTimeout):
            session.ping(0.05)
        with pytest.raises(CommandTimeout):
            session.run(["cat"], input=b"x" * 5_000_000, timeout=0.05 - GRACE)
    finally:
        server.process.send_signal(signal.SIGCONT)
    session.ping(ANSWER)
    session.close()
