"""Pipes by themselves: bytes both ways, time limits, ends, and nothing left behind."""

from __future__ import annotations

import contextlib
import functools
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.pipes import Pipe, ProcessPipe, StreamPipe

ECHO = "import shutil; shutil.copyfileobj(open(0, 'rb', 0), open(1, 'wb', 0), 4096)"
DEAF = "import threading; threading.Event().wait()"
LAST_WORDS = "import sys; sys.stdin.buffer.read(1); sys.stderr.write('out of memory'); sys.exit(9)"

polled = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot wait on the pipes of a process")
both_kinds = pytest.mark.parametrize("threaded", [True, pytest.param(False, marks=polled)])
OpenPipe = Callable[[], AbstractContextManager[tuple[Pipe, Callable[[], None]]]]


@contextlib.contextmanager
def echo_process(*, threaded: bool) -> Iterator[tuple[Pipe, Callable[[], None]]]:
    pipe = ProcessPipe([sys.executable, "-c", ECHO], name="echo", threaded=threaded)
    try:
        yield pipe, psutil.Process(pipe.pid).kill
    finally:
        pipe.close()


@contextlib.contextmanager
def echo_stream() -> Iterator[tuple[Pipe, Callable[[], None]]]:
    ours, theirs = socket.socketpair()

    def echo() -> None:
        with contextlib.suppress(OSError):
            while data := theirs.recv(65536):
                theirs.sendall(data)

    def hang_up() -> None:
        theirs.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=echo)
    thread.start()
    pipe = StreamPipe(ours, name="echo")
    try:
        yield pipe, hang_up
    finally:
        pipe.close()
        thread.join()
        theirs.close()


ways = [
    pytest.param(functools.partial(echo_process, threaded=True), id="process-threaded"),
    pytest.param(functools.partial(echo_process, threaded=False), id="process-polled", marks=polled),
    pytest.param(echo_stream, id="stream"),
]
echoing = pytest.mark.parametrize("open_echo", ways)


def received(pipe: Pipe, length: int) -> bytes:
    data = b""
    while len(data) < length and (piece := pipe.receive(20)):
        data += piece
    return data


@echoing
def test_bytes_go_both_ways_while_both_ends_are_busy(open_echo: OpenPipe) -> None:
    sent = bytes(range(256)) * 20_000
    with open_echo() as (pipe, _):
        writer = threading.Thread(target=pipe.send, args=(sent, 60))
        writer.start()
        assert received(pipe, len(sent)) == sent
        writer.join()


@echoing
def test_receive_gives_none_when_nothing_comes(open_echo: OpenPipe) -> None:
    with open_echo() as (pipe, _):
        assert pipe.receive(0.01) is None


@echoing
def test_the_end_of_the_other_side_is_an_empty_piece_every_time(open_echo: OpenPipe) -> None:
    with open_echo() as (pipe, end):
        end()
        assert pipe.receive(20) == b""
        assert pipe.receive(20) == b""


@echoing
def test_close_wakes_a_waiting_receive_and_may_be_repeated(open_echo: OpenPipe) -> None:
    with open_echo() as (pipe, _):
        seen: list[bytes | None] = []
        reader = threading.Thread(target=lambda: seen.append(pipe.receive(60)))
        reader.start()
        pipe.close()
        reader.join(20)
        assert seen == [b""]
        pipe.close()
        assert pipe.receive(1) == b""


@echoing
def test_sending_to_a_closed_pipe_says_so(open_echo: OpenPipe) -> None:
    with open_echo() as (pipe, _):
        pipe.close()
        with pytest.raises(SessionLost, match="echo"):
            pipe.send(b"x", 1)


@both_kinds
def test_a_process_that_takes_no_input_is_a_lost_session_in_time(threaded: bool) -> None:
    with (
        contextlib.closing(ProcessPipe([sys.executable, "-c", DEAF], name="deaf", threaded=threaded)) as pipe,
        pytest.raises(SessionLost, match=r"deaf took no input for 0\.1 s"),
    ):
        pipe.send(bytes(4_000_000), 0.1)


def test_a_stream_that_takes_no_input_is_a_lost_session_in_time() -> None:
    ours, theirs = socket.socketpair()
    with (
        theirs,
        contextlib.closing(StreamPipe(ours, name="deaf")) as pipe,
        pytest.raises(SessionLost, match=r"deaf took no input for 0\.1 s"),
    ):
        pipe.send(bytes(40_000_000), 0.1)


@both_kinds
def test_a_process_that_has_ended_gives_its_last_words_and_its_exit_code(threaded: bool) -> None:
    argv = [sys.executable, "-c", LAST_WORDS]
    with contextlib.closing(ProcessPipe(argv, name="shell", threaded=threaded)) as pipe:
        pipe.send(b"x", 20)
        assert pipe.receive(20) == b""
        assert pipe.diagnosis() == "out of memory\nshell exited with code 9"
        with pytest.raises(SessionLost, match="shell takes no input any more"):
            pipe.send(b"x", 20)


def test_the_environment_is_added_to_and_the_folder_is_kept(tmp_path: Path) -> None:
    code = "import os; print(os.environ['ADDED'], os.getcwd(), 'PATH' in os.environ, flush=True); input()"
    argv = [sys.executable, "-c", code]
    with contextlib.closing(ProcessPipe(argv, env={"ADDED": "x", "PYTHONUTF8": "1"}, cwd=tmp_path)) as pipe:
        line = b""
        while not line.endswith(b"\n"):
            line += pipe.receive(20) or b""
        assert line.decode().split() == ["x", str(tmp_path.resolve()), "True"]


@both_kinds
def test_closing_ends_the_process_and_what_it_started(threaded: bool) -> None:
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {DEAF!r}]).pid, flush=True); {DEAF}"
    pipe = ProcessPipe([sys.executable, "-c", code], name="parent", threaded=threaded)
    child = psutil.Process(int(pipe.receive(20) or b"0"))
    parent = psutil.Process(pipe.pid)
    pipe.close()
    gone, alive = psutil.wait_procs([parent, child], timeout=5)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    assert parent in gone
