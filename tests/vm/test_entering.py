"""Entering a machine that another process left: one real machine, made by hand, that every test here goes into."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_hyperv.identity import processes_marked
from pytest_hyperv.lab import lab_of
from pytest_hyperv.lease_file import LeaseFile
from pytest_hyperv.ledger import TOKEN, Ledger, Record
from pytest_hyperv.markers import wish_of
from pytest_hyperv.states.shelf import Shelf
from tests.vm.terminal import Terminal, terminal

LIMIT = 240.0


@dataclass(frozen=True)
class Hall:
    """A cache with one machine in it, and commands on that."""

    cache: Path
    folder: Path

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.cache / "machines")

    @property
    def record(self) -> Record:
        (record,) = self.ledger.records()
        return record

    def argv(self, command: str, *arguments: str) -> list[str]:
        return ["pytest-hyperv", command, "--cache", str(self.cache), *arguments]

    def run(self, command: str, *arguments: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.argv(command, *arguments), cwd=self.folder, input=input, capture_output=True, timeout=LIMIT
        )

    def shell(self) -> Terminal:
        return Terminal(self.argv("shell", self.record.name), self.folder)


@pytest.fixture(scope="module")
def hall(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """The machine is made by ``pytest-hyperv run``, of the state that the outer run has."""
    lab = lab_of(request.config)
    lab.prepare(wish_of([], lab.settings))
    cache, folder = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("here")
    for name in ("images", "states"):
        (cache / name).symlink_to(lab.cache / name)
    (cache / "qemu-probe.json").write_bytes((lab.cache / "qemu-probe.json").read_bytes())
    made = Hall(cache, folder)
    try:
        ran = made.run("run", lab.settings.image, "--keep-for", "30m", "--json")
        assert ran.returncode == 0, ran.stderr.decode()
        told: dict[str, Any] = json.loads(ran.stdout)
        assert told["enter"].split() == ["pytest-hyperv", "shell", "--cache", str(cache), made.record.name]
        yield made
    finally:
        made.ledger.reap(also=lambda record: True)  # noqa: ARG005


def test_it_is_listed_with_how_long_it_stays_and_how_to_enter_it(hall: Hall) -> None:
    (told,) = json.loads(hall.run("vms", "--json").stdout)
    assert (told["kept"], told["purpose"], told["visitors"]) == ("by hand", "by hand", [])
    assert told["kept_until"] - hall.record.created >= 30 * 60
    listed = hall.run("vms").stdout.decode()
    assert "kept for 30 min: by hand" in listed
    assert f"to enter {told['name']}: {told['enter']}" in listed


def test_another_one_is_not_made_where_the_first_one_takes_the_room(hall: Hall) -> None:
    refused = hall.run("run", "debian-12", "--budget", "memory=600MiB", "--room-timeout", "1s")
    assert (refused.returncode, refused.stdout) == (1, b"")
    told = refused.stderr.decode()
    assert f"no room for 512 MiB, 1 CPU within 1 s, held by {hall.record.name}, kept: by hand" in told
    assert "Hint: ask for less (--memory, --cpus), remove kept machines (pytest-hyperv gc --kept)" in told
    assert [record.name for record in hall.ledger.records()] == [hall.record.name]
    assert LeaseFile(hall.cache, "qemu").waiting() == ()
    wrong = hall.run("run", "debian-12", "--budget", "memory=much")
    assert (wrong.returncode, b"Invalid value for '--budget'" in wrong.stderr) == (2, True)


def test_a_program_has_the_streams_and_the_exit_status_of_exec(hall: Hall) -> None:
    every = bytes(range(256)) * 300
    ended = hall.run("exec", "--cwd", "/etc", hall.record.name, "--", "sh", "-c", "cat; pwd >&2; exit 7", input=every)
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, every, b"/etc\n")


@pytest.mark.parametrize(
    ("name", "program", "said"),
    [("", "/no/such", b"cannot be run in the guest"), ("nobody", "true", b"there is no machine 'nobody'")],
)
def test_a_program_that_cannot_be_run_is_status_255(hall: Hall, name: str, program: str, said: bytes) -> None:
    ended = hall.run("exec", name or hall.record.id, program)
    assert ended.returncode == 255
    assert said in ended.stderr


def test_files_and_folders_go_in_and_out(hall: Hall) -> None:
    (hall.folder / "tree" / "sub").mkdir(parents=True)
    (hall.folder / "tree" / "sub" / "file").write_bytes(bytes(range(256)))
    short = hall.record.name.removeprefix("hyperv-")[:6]
    assert hall.run("cp", "tree", f"{short}:/srv/").returncode == 0
    assert hall.run("cp", f"{short}:/srv/tree", "back").returncode == 0
    assert (hall.folder / "back" / "sub" / "file").read_bytes() == bytes(range(256))
    assert hall.run("cp", "a", "b").returncode == 2
    missing = hall.run("cp", f"{short}:/srv/nothing", ".")
    assert (missing.returncode, b"does not exist in the guest" in missing.stderr) == (1, True)


def test_the_screen_and_the_console_are_seen(hall: Hall) -> None:
    name = hall.record.name
    assert hall.run("screenshot", name, "--output", "-").stdout.startswith(b"\x89PNG\r\n")
    assert hall.run("screenshot", name).stdout.decode().strip() == f"{name}.png"
    assert (hall.folder / f"{name}.png").stat().st_size > 100
    assert hall.run("exec", name, "sh", "-c", "printf '\\033[31mred\\033[0m\\a\\n' > /dev/ttyS0").returncode == 0
    assert hall.run("console", name).stdout == b"red\n"


def test_a_screen_can_be_opened_by_this_user(hall: Hall) -> None:
    with terminal(hall.argv("open", hall.record.name, "--print"), hall.folder) as opened:
        socket = Path(opened.expect(r"vncviewer (\S+)").group(1))
        assert socket.is_socket()
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        opened.type("\x03")
        assert opened.process.wait(LIMIT) == 0


def test_a_shell_is_a_terminal_in_the_guest(hall: Hall) -> None:
    with terminal(hall.argv("shell", hall.record.name), hall.folder) as person:
        person.expect(r"# ")
        person.type("tty; stty size\r")
        person.expect(r"/dev/pts/\d+\s+24 80\s")
        person.type("sh -c 'echo be''gun; exec sleep 600'\r")
        person.expect(r"begun\s")
        person.type("\x03")
        person.expect(r"\^C")
        person.type("cd /etc && echo $? in $PWD\r")
        person.expect(r"\s0 in /etc\s")
        person.resize(40, 120)
        person.type("until [ \"$(stty size)\" = '40 120' ]; do sleep 0.1; done; echo grown $((20 + 3))\r")
        person.expect(r"grown 23\s")
        assert hall.ledger.reap() == []
        person.type("exit 5\r")
        assert person.process.wait(LIMIT) == 5


def test_a_script_is_run_by_the_shell_of_the_guest(hall: Hall) -> None:
    ended = hall.run("shell", hall.record.name, input=b"cd /usr\necho $PWD\nexit 3\n")
    assert (ended.returncode, ended.stdout) == (3, b"/usr\n")


def test_a_second_one_gets_in_and_a_third_one_is_told_who_is_there(hall: Hall) -> None:
    name = hall.record.name
    with terminal(hall.argv("shell", name), hall.folder) as first:
        first.expect(r"# ")
        first.type("touch /root/seen-by-both\r")
        first.expect(r"# ")
        beside = hall.run("exec", name, "ls", "/root/seen-by-both")
        assert (beside.returncode, beside.stdout) == (0, b"/root/seen-by-both\n")
        with terminal(hall.argv("shell", name), hall.folder) as second:
            second.expect(rf"{name}:/\$ ")
            second.type("cd /var && false\r")
            second.expect(r":/var\$ ")
            second.type("echo $PWD; cd /var/tmp\r")
            second.expect(r"\s/var\s")
            second.expect(r"/var/tmp\$ ")
            third = hall.run("exec", name, "true")
            assert third.returncode == 255
            assert str(first.process.pid).encode() in third.stderr
            assert str(second.process.pid).encode() in third.stderr
            (told,) = json.loads(hall.run("vms", "--json").stdout)
            assert told["visitors"] == sorted([first.process.pid, second.process.pid])
            refused = hall.run("gc", "--kept")
            assert b"is in it" in refused.stderr
            second.type("\x04")
            assert second.process.wait(LIMIT) == 0
        assert hall.record.name == name


def test_a_person_whose_terminal_dies_leaves_the_machine_to_be_entered_again(hall: Hall) -> None:
    with terminal(hall.argv("shell", hall.record.name), hall.folder) as person:
        person.expect(r"# ")
        person.type("echo still > /root/there; echo writ''ten\r")
        person.expect(r"written")
        person.process.kill()
        person.process.wait(LIMIT)
    assert hall.run("exec", hall.record.name, "cat", "/root/there").stdout == b"still\n"
    assert hall.run("gc").returncode == 0
    assert hall.record.kept


def test_what_it_stands_on_stays(hall: Hall) -> None:
    states = hall.cache / "states"
    kept = [each for each in Shelf(states, lambda record, folder: None).all() if hall.record.name in each.kept]  # noqa: ARG005
    assert len(kept) == 1


def test_a_machine_that_is_off_can_still_be_looked_at(hall: Hall) -> None:
    name = hall.record.name
    assert hall.run("exec", name, "systemctl", "poweroff").returncode in (0, 255)
    for process in processes_marked(TOKEN, hall.record.token):
        process.wait(LIMIT)
    assert b"red\n" in hall.run("console", name).stdout
    screen = hall.run("screenshot", name)
    assert (screen.returncode, b"it is off" in screen.stderr) == (1, True)


def test_in_the_end_it_is_removed_with_all_it_has(hall: Hall) -> None:
    record = hall.record
    removed = hall.run("gc", "--kept")
    assert (removed.returncode, record.name.encode() in removed.stdout) == (0, True)
    assert processes_marked(TOKEN, record.token) == []
    assert not record.folder.exists()
    assert hall.run("vms").stdout == b"No machine lives.\n"
