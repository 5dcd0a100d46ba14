"""A guest reached by SSH, played by this machine and a real OpenSSH server on it."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv.backends.hyperv.ssh_client import SshTarget
from pytest_hyperv.backends.hyperv.ssh_guest import SshGuest
from pytest_hyperv.copying import copy_in, copy_out
from pytest_hyperv.errors import (
    AccessDenied,
    CommandFailed,
    CommandTimeout,
    CopyError,
    GuestCrashed,
    SessionLost,
    SettingsError,
)
from tests.unit.hyperv.ssh_server import SshServer, make_key, ssh_server

SLEEPER = 'echo "$$"; sleep 300 & wait'
"""Prints its process id and has a child."""


class Here:
    """Where the server is, and how often somebody had to look for it again."""

    def __init__(self, target: SshTarget) -> None:
        self.found, self.forgotten = target, 0
        self.again: Callable[[], None] = lambda: None

    def target(self) -> SshTarget:
        return self.found

    def forget(self) -> None:
        self.forgotten += 1
        self.again()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def own(tmp_path: Path) -> Iterator[SshServer]:
    """A server of the test's own, to be cut off."""
    with ssh_server(tmp_path) as server:
        yield server


def guest_at(
    target: SshTarget,
    watch: Callable[[], None] = lambda: None,
    why: Callable[[SessionLost], Exception] = lambda lost: lost,
) -> SshGuest:
    return SshGuest(Here(target), watch=watch, why=why)


@pytest.fixture
def guest(running: SshServer) -> SshGuest:
    return guest_at(running.target)


def gone(pid: int) -> bool:
    """Whether a process ended, its parent told of it or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def soon(true: Callable[[], bool], within: float = 15.0) -> bool:
    """Whether it becomes true in so many seconds."""
    waiting = Retrying(retry=retry_if_result(lambda yes: not yes), stop=stop_after_delay(within), wait=wait_fixed(0.05))
    try:
        return bool(waiting(true))
    except RetryError:
        return False


def family(first: int) -> list[int]:
    """A process and its children, once it has one."""
    children = Path(f"/proc/{first}/task/{first}/children")
    assert soon(lambda: bool(children.read_text().split()))
    return [first, *map(int, children.read_text().split())]


def test_streams_and_the_code_come_back_apart(guest: SshGuest) -> None:
    seen: list[tuple[int, bytes]] = []
    result = guest.run(
        ["sh", "-c", "echo out; echo err >&2; exit 3"], on_output=lambda stream, data: seen.append((stream, data))
    )
    assert (result.returncode, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert sorted(seen) == [(1, b"out\n"), (2, b"err\n")]


@pytest.mark.parametrize("code", [0, 126, 127, 255])
def test_every_code_is_the_programs_own(guest: SshGuest, code: int) -> None:
    assert guest.run(["sh", "-c", f"exit {code}"]).returncode == code


def test_a_signal_is_told_as_its_number_and_128(guest: SshGuest) -> None:
    assert guest.run(["sh", "-c", "kill -9 $$"]).returncode == 137


def test_words_arrive_as_they_were_written(guest: SshGuest) -> None:
    words = ["a b", "'", '"', "$HOME `id` $(id)", "", "*", "-n", "\\", "line\nline", "ä", "!", "\x1e"]
    assert guest.run(["printf", "%s\\0", *words]).stdout == "".join(f"{word}\0" for word in words)


def test_any_byte_goes_in_and_comes_out(guest: SshGuest) -> None:
    data = os.urandom(3_000_000) + bytes(range(256))
    assert guest.run(["cat"], input=data).stdout_bytes == data
    assert guest.run(["sh", "-c", "cat >&2"], input=(data[at : at + 70_000] for at in range(0, len(data), 70_000)))
    assert guest.run(["sh", "-c", "cat >&2"], input=data).stderr_bytes == data


def test_a_program_without_input_reads_its_end(guest: SshGuest) -> None:
    assert guest.run(["cat"], timeout=20).stdout == ""


def test_input_that_nobody_reads_is_no_fault(guest: SshGuest) -> None:
    assert guest.run(["true"], input=iter(lambda: bytes(100_000), b""), timeout=30).returncode == 0


def test_an_input_that_fails_ends_the_program_and_is_told(guest: SshGuest) -> None:
    def broken() -> Iterator[bytes]:
        yield b"begin"
        raise ZeroDivisionError("in the test's own input")

    with pytest.raises(ZeroDivisionError):
        guest.run(["cat"], input=broken(), timeout=30)


def test_folder_and_environment_are_for_one_program(guest: SshGuest, tmp_path: Path) -> None:
    command = ["sh", "-c", 'pwd; printf "%s" "$WORD"']
    result = guest.run(command, cwd=str(tmp_path), env={"WORD": "a = 'b'", "IFS": "x"})
    assert result.stdout == f"{tmp_path}\na = 'b'"


def test_a_program_is_looked_for_in_the_path_it_gets(guest: SshGuest, tmp_path: Path) -> None:
    program = tmp_path / "only-here"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    assert guest.run(["only-here"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}).stdout == "found\n"
    with pytest.raises(CommandFailed, match="no such program"):
        guest.run(["only-here"])


@pytest.mark.parametrize(
    ("argv", "cwd", "why"),
    [
        (["no-such-program"], None, "no-such-program: no such program"),
        (["/etc/passwd"], None, "not a program"),
        (["/no/such"], None, "no such file"),
        (["true"], "/no/such/folder", "no folder /no/such/folder"),
        (["true", "nul\0"], None, "NUL"),
        ([], None, "name"),
        (["true", "x" * 200_000], None, "too long"),
    ],
)
def test_what_cannot_be_started_says_why(guest: SshGuest, argv: list[str], cwd: str | None, why: str) -> None:
    with pytest.raises(CommandFailed, match=why):
        guest.run(argv, cwd=cwd)


def test_a_program_out_of_time_is_ended_with_its_children(guest: SshGuest) -> None:
    with pytest.raises(CommandTimeout, match="5 s") as late:
        guest.run(["sh", "-c", 'setsid sleep 300 & echo "$!"; sleep 300 & echo "$!" "$$"; wait'], timeout=5)
    pids = [int(word) for word in late.value.stdout.split()]
    assert len(pids) == 3
    assert all(map(gone, pids))
    assert guest.run(["true"])


def test_more_output_than_the_limit_ends_the_program(guest: SshGuest) -> None:
    with pytest.raises(CommandFailed, match="more than 1000 bytes"):
        guest.run(["sh", "-c", "while :; do echo word; done"], output_limit=1000, timeout=30)


def test_what_is_left_behind_lives_on_and_holds_nobody(guest: SshGuest) -> None:
    began = time.monotonic()
    result = guest.run(["sh", "-c", 'sleep 300 & echo "$!"'], timeout=60)
    assert time.monotonic() - began < 20
    pid = int(result.stdout)
    try:
        assert not gone(pid)
    finally:
        os.kill(pid, 9)


def test_the_watch_is_gone_with_its_connection(guest: SshGuest) -> None:
    mark = "a-word-that-only-this-test-says"
    guest.run(["echo", mark])
    assert soon(lambda: not [pid for pid in _command_lines() if mark in pid])


def _command_lines() -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_text("utf-8", "replace"))
        except OSError:
            continue
    return lines


def test_a_spawned_program_is_talked_to(guest: SshGuest) -> None:
    process = guest.spawn(["cat"])
    for word in (b"one", b"two"):
        process.write(word)
        assert process.read(timeout=30) == (1, word)
    with pytest.raises(CommandTimeout):
        process.read(timeout=0.1)
    with pytest.raises(CommandTimeout, match="still runs"):
        process.wait(timeout=0.1)
    process.close_stdin()
    assert process.read(timeout=30) is None
    assert process.wait(timeout=30) == 0


def test_a_spawned_program_is_killed_with_its_children(guest: SshGuest) -> None:
    process = guest.spawn(["sh", "-c", SLEEPER])
    piece = process.read(timeout=30)
    assert piece is not None
    pids = family(int(piece[1]))
    process.kill()
    assert all(map(gone, pids))
    assert process.wait(timeout=30) == 137
    process.kill()


def test_a_slow_reader_loses_nothing(guest: SshGuest) -> None:
    process = guest.spawn(["sh", "-c", "head -c 40000000 /dev/zero; true"])
    first = process.read(timeout=30)
    assert first is not None
    assert soon(lambda: _waits("head")), "40 MB went somewhere although nobody read them"
    total = len(first[1])
    while (piece := process.read(timeout=30)) is not None:
        total += len(piece[1])
    assert total == 40_000_000
    assert process.wait(timeout=30) == 0


def test_facts_of_a_path(guest: SshGuest, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "file").chmod(0o640)
    (tmp_path / "link").symlink_to("file")
    facts = guest.stat(str(tmp_path / "file"))
    assert facts is not None
    assert (facts.kind, facts.size, facts.mode) == ("file", 5, 0o640)
    kinds = [facts.kind for name in ("link", ".") if (facts := guest.stat(str(tmp_path / name)))]
    assert kinds == ["symlink", "directory"]
    assert guest.stat(str(tmp_path / "nothing")) is None
    assert guest.stat(str(tmp_path / "file" / "below")) is None


def test_files_go_both_ways_whole(guest: SshGuest, tmp_path: Path) -> None:
    data = os.urandom(2_000_001)
    path = tmp_path / "new folder" / "it's a file"
    for content in (data, b"", b"short\n"):
        guest.write_file(str(path), iter([content, b""]), mode=0o751, timeout=60)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o751
        assert b"".join(guest.read_file(str(path), timeout=60)) == content
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_file_that_cannot_be_read_or_written_says_why(guest: SshGuest, tmp_path: Path) -> None:
    with pytest.raises(CopyError, match="No such file"):
        list(guest.read_file(str(tmp_path / "nothing"), timeout=60))
    (tmp_path / "folder").mkdir()
    with pytest.raises(CopyError, match="directory"):
        guest.write_file(str(tmp_path / "folder"), [b"x"], mode=0o600, timeout=60)
    with pytest.raises(CopyError, match=r"in time|within"):
        guest.write_file(str(tmp_path / "late"), _slowly(), mode=0o600, timeout=2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def _slowly() -> Iterator[bytes]:
    yield b"begin"
    threading.Event().wait(4)
    yield b"end"


def _waits(name: str) -> bool:
    """Whether a program of that name can write no more."""
    found = [each.info for each in psutil.process_iter(["name", "status"]) if each.info["name"] == name]
    return any(each["status"] == psutil.STATUS_SLEEPING for each in found)


def test_a_file_is_not_put_in_place_when_the_connection_is_lost(own: SshServer, tmp_path: Path) -> None:
    target = tmp_path / "guest" / "file"
    target.parent.mkdir()
    target.write_text("old")

    def until_cut() -> Iterator[bytes]:
        yield b"new"
        assert soon(lambda: any(entry.stat().st_size for entry in target.parent.iterdir() if entry != target))
        own.cut()
        yield b"more"

    with pytest.raises(SessionLost):
        guest_at(own.target).write_file(str(target), until_cut(), mode=0o600, timeout=60)
    marks = str(target.parent / ".pytest-hyperv.")
    assert soon(lambda: not [line for line in _command_lines() if marks in line])
    assert target.read_text() == "old"


def test_whole_folders_go_both_ways(guest: SshGuest, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_bytes(os.urandom(100_000))
    (source / "link").symlink_to("deep/file")
    copy_in(guest, source, str(tmp_path / "in"), 60)
    back = copy_out(guest, str(tmp_path / "in"), tmp_path / "back", 60)
    assert (back / "deep" / "file").read_bytes() == (source / "deep" / "file").read_bytes()
    assert (back / "link").readlink() == Path("deep/file")


def test_a_lost_connection_ends_the_call_and_what_ran(own: SshServer) -> None:
    guest = guest_at(own.target, why=lambda lost: GuestCrashed(f"panic, told by: {lost.message}"))
    process = guest.spawn(["sh", "-c", SLEEPER])
    piece = process.read(timeout=30)
    assert piece is not None
    pids = family(int(piece[1]))
    own.cut()
    with pytest.raises(GuestCrashed, match=r"machine-1 at 127.0.0.1 was lost"):
        process.wait(timeout=30)
    assert soon(lambda: all(map(gone, pids)))


def test_a_guest_that_restarted_is_found_again(own: SshServer) -> None:
    here = Here(own.target)
    guest = SshGuest(here, watch=lambda: None, why=lambda lost: lost)
    assert guest.run(["true"])
    own.cut()
    here.again = own.start
    given = iter([b"input is drawn ", b"only once it runs"])
    assert guest.run(["cat"], input=given).stdout == "input is drawn only once it runs"
    assert here.forgotten == 1


def test_a_guest_that_is_gone_is_told(own: SshServer) -> None:
    own.cut()
    with pytest.raises(SessionLost, match=r"took no SSH connection.*refused"):
        guest_at(own.target).run(["true"])
    with pytest.raises(SessionLost, match="took no SSH connection"):
        guest_at(own.target).ping(timeout=10)


def test_a_wrong_key_is_refused(running: SshServer, tmp_path: Path) -> None:
    right = running.target
    wrong = SshTarget(right.host, right.user, make_key(tmp_path / "other"), right.known_hosts, "m", port=right.port)
    with pytest.raises(AccessDenied, match="refused the key"):
        guest_at(wrong).run(["true"])


def test_a_machines_key_is_noted_under_its_own_name_and_must_stay(own: SshServer, tmp_path: Path) -> None:
    assert guest_at(own.target).run(["true"])
    known = tmp_path / "known_hosts"
    assert known.read_text().startswith("machine-1 ssh-ed25519 ")
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()[:2]
    known.write_text(f"machine-1 {' '.join(other)}\n")
    with pytest.raises(SessionLost, match=r"(?i)host key|identification"):
        guest_at(own.target).run(["true"])


def test_a_machine_that_dies_in_silence_ends_the_call(running: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def watch() -> None:
        raise GuestCrashed("no heart beats")

    monkeypatch.setattr("pytest_hyperv.backends.hyperv.ssh_guest.SILENCE", 0.5)
    began = time.monotonic()
    with pytest.raises(GuestCrashed, match="no heart"):
        guest_at(running.target, watch=watch).run(["sleep", "60"], timeout=60)
    assert time.monotonic() - began < 20


def test_an_abort_ends_waiting_calls_and_later_ones(running: SshServer) -> None:
    guest = guest_at(running.target)
    begun = threading.Event()

    def abort() -> None:
        assert begun.wait(30)
        guest.abort(GuestCrashed("by the test"))

    threading.Thread(target=abort).start()
    with pytest.raises(GuestCrashed, match="by the test"):
        guest.run(["sh", "-c", "echo begun; sleep 60"], on_output=lambda *_: begun.set(), timeout=60)
    with pytest.raises(GuestCrashed, match="by the test"):
        guest.run(["true"])


def test_a_closed_session_connects_anew(running: SshServer) -> None:
    guest = guest_at(running.target)
    process = guest.spawn(["sleep", "300"])
    guest.close()
    with pytest.raises(SessionLost, match="closed"):
        process.wait(timeout=30)
    guest.ping(timeout=30)


@pytest.mark.parametrize(("host", "user"), [("-oProxyCommand=x", "root"), ("h", "-l"), ("h;x", "root"), ("", "root")])
def test_nothing_can_be_taken_for_an_option(host: str, user: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be the"):
        SshTarget(host, user, tmp_path, tmp_path, "m")


def test_no_option_asks_or_knows_a_password(running: SshServer) -> None:
    line = running.target.command(["true"], timeout=3)
    assert {"BatchMode=yes", "PreferredAuthentications=publickey", "ConnectTimeout=3"} <= set(line)
    assert line[-3:] == ["--", "127.0.0.1", "exec true"]
