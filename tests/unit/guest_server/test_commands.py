"""Commands: exit codes, streams, where and how they run, and how they end."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_hyperv.backends.qemu.guest_server import GuestServer
from pytest_hyperv.errors import CommandFailed, CommandTimeout
from tests.unit.guest_server.conftest import ANSWER, LocalServer, gone


def test_exit_code_and_both_streams_come_back_apart(session: GuestServer) -> None:
    result = session.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.returncode, result.stdout_bytes, result.stderr_bytes) == (3, b"out\n", b"err\n")
    assert result.argv == ("sh", "-c", "echo out; echo err >&2; exit 3")


def test_a_signal_is_told_as_128_and_its_number(session: GuestServer) -> None:
    assert session.run(["sh", "-c", "kill -TERM $$"]).returncode == 128 + signal.SIGTERM


def test_a_broken_pipe_kills_programs_as_everywhere(session: GuestServer) -> None:
    assert session.run(["sh", "-c", "kill -PIPE $$; echo still here"]).returncode == 128 + signal.SIGPIPE


def test_standard_input_is_empty_unless_given(session: GuestServer) -> None:
    assert session.run(["cat"], timeout=ANSWER).stdout_bytes == b""
    assert session.run(["cat"], input=b"", timeout=ANSWER).stdout_bytes == b""
    assert session.run(["cat"], input=b"abc").stdout_bytes == b"abc"


def test_environment_is_added_to_the_servers_own(session: GuestServer) -> None:
    result = session.run(["sh", "-c", 'echo "$ONE|$PATH"'], env={"ONE": "a b=c"})
    assert result.stdout == f"a b=c|{os.environ['PATH']}\n"


def test_working_folder_is_the_one_asked_for(session: GuestServer, tmp_path: Path) -> None:
    assert session.run(["pwd"], cwd=str(tmp_path)).stdout == f"{tmp_path}\n"


def test_arguments_and_output_may_be_any_bytes_but_nul(session: GuestServer) -> None:
    every = bytes(range(1, 256))
    assert session.run(["printf", "%s", os.fsdecode(every)]).stdout_bytes == every


@pytest.mark.parametrize(
    ("argv", "cwd", "says"),
    [
        (["/no/such/program"], None, "No such file or directory"),
        (["no-such-program-in-path"], None, "No such file or directory"),
        (["/etc"], None, "Permission denied"),
        (["true"], "/no/such/folder", "cannot enter /no/such/folder: No such file or directory"),
        (["tr\0ue"], None, "NUL"),
        ([], None, "1 to 65535 arguments"),
    ],
)
def test_what_cannot_be_started_is_an_error_and_not_an_exit_code(
    session: GuestServer, argv: list[str], cwd: str | None, says: str
) -> None:
    with pytest.raises(CommandFailed, match=says):
        session.run(argv, cwd=cwd)
    with pytest.raises(CommandFailed, match=says):
        session.spawn(argv, cwd=cwd)
    assert session.run(["sh", "-c", "exit 127"]).returncode == 127


def test_no_file_of_the_server_is_open_in_a_program(session: GuestServer) -> None:
    links = session.run(["sh", "-c", "for f in /proc/$$/fd/*; do readlink $f; done"], input=b"").stdout.split()
    assert len([link for link in links if link.startswith("pipe:")]) == 3
    assert not [link for link in links if link.startswith("socket:")]


def test_time_out_kills_the_program_and_keeps_what_it_said(session: GuestServer) -> None:
    with pytest.raises(CommandTimeout, match=r"did not end within 0\.5 s and was killed") as caught:
        session.run(["sh", "-c", "echo $$; echo err >&2; sleep 1000; :"], timeout=0.5)
    assert caught.value.stderr == b"err\n"
    assert caught.value.timeout == 0.5
    assert gone(int(caught.value.stdout))


def test_time_out_kills_children_and_daemons_that_left_the_family(session: GuestServer) -> None:
    child = "sleep 1000 & echo $!"
    daemon = "(setsid sh -c 'setsid sleep 1000 & echo $!' &) "
    with pytest.raises(CommandTimeout) as caught:
        session.run(["sh", "-c", f"{child}; {daemon}; sleep 1000; :"], timeout=1)
    pids = [int(pid) for pid in caught.value.stdout.split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_the_server_keeps_the_time_out_itself(server: LocalServer) -> None:
    session = server.session()
    with pytest.raises(CommandTimeout) as caught:
        session.run(["sh", "-c", "trap '' TERM INT HUP; echo $$; while :; do sleep 1000; done"], timeout=0.3)
    assert gone(int(caught.value.stdout))
    session.ping(ANSWER)
    session.close()


def test_background_children_do_not_hold_a_run_and_live_on(session: GuestServer, tmp_path: Path) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    os.mkfifo(go)
    os.mkfifo(done)
    script = f"(read x < {go}; echo late; echo later; echo survived > {done}) & echo started"
    assert session.run(["sh", "-c", script], timeout=ANSWER).stdout == "started\n"
    go.write_text("\n")
    assert done.read_text() == "survived\n"


def test_many_commands_at_once_each_get_their_own_output(session: GuestServer) -> None:
    def ask(number: int) -> str:
        return session.run(["sh", "-c", "read x; echo $x; echo $0 >&2", str(number)], input=b"%d\n" % number).stdout

    with ThreadPoolExecutor(64) as pool:
        assert list(pool.map(ask, range(64))) == [f"{number}\n" for number in range(64)]


def test_beyond_its_output_limit_a_program_is_killed(session: GuestServer) -> None:
    pids: list[int] = []

    def note(_: int, data: bytes) -> None:
        if not pids:
            pids.append(int(data.split()[0]))

    with pytest.raises(CommandFailed, match=r"wrote more than 1000000 bytes to stdout"):
        session.run(["sh", "-c", "echo $$; exec yes"], on_output=note, output_limit=1_000_000)
    assert gone(pids[0])


def test_output_is_shown_as_it_comes(session: GuestServer, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    seen: list[tuple[int, bytes]] = []

    def show(stream: int, data: bytes) -> None:
        seen.append((stream, data))
        if data == b"first\n":
            go.write_text("\n")

    session.run(["sh", "-c", f"echo first; read x < {go}; echo second >&2"], on_output=show, timeout=ANSWER)
    assert seen == [(1, b"first\n"), (2, b"second\n")]


def test_an_error_of_the_callers_own_kills_the_program(session: GuestServer) -> None:
    pids: list[int] = []

    def fail(_: int, data: bytes) -> None:
        pids.append(int(data))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.run(["sh", "-c", "echo $$; sleep 1000; :"], on_output=fail)
    assert gone(pids[0])
