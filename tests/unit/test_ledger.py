"""Ownership on disk: owners that are killed, reapers that meet, records that are no records, and a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from pytest_hyperv.errors import HostError, LeaseLost
from pytest_hyperv.identity import ProcessIdentity
from pytest_hyperv.ledger import GONE, RECORD, TOKEN, UNBORN, Ledger, Record

OWNER = """
import json, subprocess, sys
from pathlib import Path
from pytest_hyperv.ledger import Ledger

record = Ledger(Path(sys.argv[1])).open("fake", "a test")
(record.folder / "disk").write_bytes(b"x" * 1000)
work = subprocess.Popen(["sleep", "1000"], env=record.environment, start_new_session=True)
print(json.dumps({"id": record.id, "work": work.pid}), flush=True)
sys.stdin.read()
"""
ORPHANAGE = f"""
import ctypes, subprocess, sys

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans become children of this process
owner = subprocess.Popen([sys.executable, "-c", {OWNER!r}, sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
told = owner.stdout.readline()
owner.kill()
owner.wait()
print(told.decode(), end="", flush=True)
sys.stdin.read()
"""
RACE = """
import sys
from pathlib import Path
from pytest_hyperv.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(len(ledger.reap()), flush=True)
"""
REUSE = f"""
import json, os, subprocess, sys
from pathlib import Path
from pytest_hyperv.ledger import Ledger

def stranger(number):
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(number - 1))
    process = subprocess.Popen(["sleep", "1000"])
    assert process.pid == number, f"{{process.pid}} instead of {{number}}"
    return process

owner = subprocess.Popen([sys.executable, "-c", {OWNER!r}, sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
work = json.loads(owner.stdout.readline())["work"]
owner.kill()
owner.wait()
strangers = [stranger(owner.pid)]
ledger = Ledger(Path(sys.argv[1]))
removed = len(ledger.reap())
os.waitpid(work, 0)  # an orphan is a child of the first process of its namespace
strangers.append(stranger(work))
removed += len(ledger.reap())
print(removed, "removed", sum(each.poll() is not None for each in strangers), "killed")
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts programs and ends what is left of them."""
    started: list[subprocess.Popen[str]] = []

    def run(*argv: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(argv, env=env, text=True, **pipes)  # type: ignore[call-overload]
        started.append(process)
        return process  # type: ignore[no-any-return]

    yield run
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "cache" / "machines")


class Owner:
    """A process that made a machine, with a process that works for it."""

    def __init__(self, start: Start, ledger: Ledger) -> None:
        self.process = start(sys.executable, "-c", OWNER, str(ledger.root))
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.id, self.work = str(told["id"]), psutil.Process(told["work"])

    def killed(self) -> Owner:
        """The same, its owner dead without a chance to clean up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        return self


def gone(process: psutil.Process) -> bool:
    """Whether a process does nothing any more; one that nobody has asked for its exit code yet is dead too."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end(process: psutil.Process) -> None:
    """Kill a process that may be gone."""
    with suppress(psutil.NoSuchProcess):
        process.kill()


def test_a_machine_is_written_down_before_anything_else_of_it_exists(ledger: Ledger) -> None:
    record = ledger.open("fake", "test_it.py::test_a")
    assert [path.name for path in record.folder.iterdir()] == [RECORD]
    assert record.folder.stat().st_mode & 0o777 == 0o700
    assert (record.folder / RECORD).stat().st_mode & 0o777 == 0o600
    assert ledger.records() == [record]
    assert record.owner == ProcessIdentity.own()
    assert record.environment[TOKEN] == record.token
    assert record.environment["PATH"] == os.environ["PATH"]


def test_records_come_oldest_first_and_have_nothing_in_common(ledger: Ledger) -> None:
    records = [ledger.open("fake", f"test {number}") for number in range(5)]
    assert ledger.records() == records
    for part in ("id", "name", "token", "folder"):
        assert len({getattr(record, part) for record in records}) == 5


def test_a_closed_machine_leaves_nothing(ledger: Ledger) -> None:
    record = ledger.open("fake", "a test")
    (record.folder / "deep/er").mkdir(parents=True)
    ledger.close(record)
    assert list(ledger.root.iterdir()) == []


def test_the_reaper_ends_what_a_killed_owner_left_and_nothing_else(start: Start, ledger: Ledger) -> None:
    mine = ledger.open("fake", "my own")
    dead, alive = Owner(start, ledger).killed(), Owner(start, ledger)
    others = {
        "of my machine": start("sleep", "1000", env=mine.environment),
        "of no machine": start("sleep", "1000", env={TOKEN: "somebody else's", "PATH": os.environ["PATH"]}),
        "unmarked": start("sleep", "1000"),
    }
    (ledger.root / "not-ours").mkdir()
    (ledger.root / "not-ours" / "disk").touch()
    (ledger.root / "a-file").touch()
    with ExitStack() as ending:
        ending.callback(end, alive.work)
        removed = ledger.reap()
        assert [record.id for record in removed] == [dead.id]
        assert gone(dead.work)
        assert not gone(alive.work)
        assert {what: process.poll() for what, process in others.items()} == dict.fromkeys(others)
        assert {record.id for record in ledger.records()} == {mine.id, alive.id}
        assert (ledger.root / "not-ours" / "disk").exists()
        assert (ledger.root / "a-file").exists()
        assert not removed[0].folder.exists()
        assert ledger.reap() == []


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_a_dead_process_that_nobody_waits_for_does_not_hold_the_reaper_up(start: Start, ledger: Ledger) -> None:
    orphanage = start(sys.executable, "-c", ORPHANAGE, str(ledger.root))
    assert orphanage.stdout is not None
    told = json.loads(orphanage.stdout.readline())
    assert [record.id for record in ledger.reap()] == [told["id"]]
    assert psutil.Process(told["work"]).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("hours", [-6, 6])
def test_a_clock_that_jumps_changes_nothing_for_the_living_or_the_dead(
    start: Start, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    alive, dead = Owner(start, ledger), Owner(start, ledger)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
    with ExitStack() as ending:
        ending.callback(end, alive.work)
        assert ledger.reap() == []
        dead.killed()
        assert [record.id for record in ledger.reap()] == [dead.id]
        assert gone(dead.work)
        assert [record.id for record in ledger.records()] == [alive.id]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a namespace of processes takes root on Linux")
def test_strangers_that_got_the_numbers_of_ours_are_left_alone(tmp_path: Path) -> None:
    told = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", REUSE, str(tmp_path / "machines")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == ["1", "removed", "0", "killed"]


def test_a_kept_machine_outlives_its_owner_until_it_is_chosen(start: Start, ledger: Ledger) -> None:
    owner = Owner(start, ledger)
    (record,) = ledger.records()
    ledger.keep(record, "to look at it")
    owner.killed()
    with ExitStack() as ending:
        ending.callback(end, owner.work)
        assert ledger.reap() == []
        assert not gone(owner.work)
        assert [found.kept for found in ledger.records()] == ["to look at it"]
        chosen = ledger.reap(also=lambda found: found.id == owner.id)
        assert [found.id for found in chosen] == [owner.id]
        assert gone(owner.work)


def test_a_machine_that_was_reaped_cannot_be_kept(ledger: Ledger) -> None:
    record = ledger.open("fake", "a test")
    ledger.close(record)
    with pytest.raises(LeaseLost, match=f"{record.name} is gone"):
        ledger.keep(record, "too late")
    assert list(ledger.root.iterdir()) == []


def test_a_machine_whose_removal_was_cut_short_is_removed_without_a_record(ledger: Ledger) -> None:
    gone = ledger.root / f"{GONE}0123"
    (gone / "layers").mkdir(parents=True)
    (gone / "layers" / "1.qcow2").touch()
    assert ledger.records() == []
    assert ledger.reap() == []
    assert not gone.exists()
    assert ledger.failures == []


def test_two_reapers_at_once_remove_everything_once(start: Start, ledger: Ledger) -> None:
    owners = [Owner(start, ledger).killed() for _ in range(4)]
    reapers = [start(sys.executable, "-c", RACE, str(ledger.root)) for _ in range(2)]
    for reaper in reapers:
        assert reaper.stdout is not None
        assert reaper.stdout.readline() == "ready\n"
    for reaper in reapers:
        assert reaper.stdin is not None
        reaper.stdin.write("go\n")
        reaper.stdin.flush()
    counts = []
    for reaper in reapers:
        assert reaper.stdout is not None
        counts.append(int(reaper.stdout.readline()))
        assert reaper.wait() == 0
    assert sum(counts) == 4
    assert all(gone(owner.work) for owner in owners)
    assert ledger.records() == []


def test_a_second_reaper_leaves_the_work_to_the_first(start: Start, ledger: Ledger) -> None:
    owner = Owner(start, ledger).killed()
    with FileLock(ledger.root / ".reaper.lock"):
        assert Ledger(ledger.root).reap() == []
    assert [record.id for record in ledger.reap()] == [owner.id]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b'{"owner": 1}', b'{"owner": {"pid": 1, "started": "x"}}', b"\xff\xfe"],
)
def test_a_folder_with_half_a_record_is_no_machine_and_is_not_touched(ledger: Ledger, content: bytes) -> None:
    folder = ledger.root / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / RECORD).write_bytes(content)
    (folder / "disk").touch()
    assert ledger.records() == []
    assert ledger.reap() == []
    assert (folder / "disk").exists()


def test_a_folder_whose_maker_died_before_the_record_was_whole_is_removed(start: Start, ledger: Ledger) -> None:
    dead = start(sys.executable, "-c", "import sys; sys.stdin.read()")
    maker = ProcessIdentity.of(dead.pid)
    assert maker is not None
    dead.kill()
    dead.wait()
    unborn = {
        f"{UNBORN}{maker.word}-0123": False,
        f"{UNBORN}{ProcessIdentity.own().word}-0123": True,
        f"{UNBORN}{ProcessIdentity(os.getpid(), 'another boot:1').word}-0123": False,
        f"{UNBORN}": True,
        f"{UNBORN}x-1": True,
    }
    for name in unborn:
        (ledger.root / name).mkdir(parents=True)
        (ledger.root / name / f"{RECORD}.new").write_bytes(b'{"id": "0')
    assert ledger.reap() == []
    assert {name: (ledger.root / name).exists() for name in unborn} == unborn


def test_an_owner_whose_number_was_given_to_another_process_is_dead(ledger: Ledger) -> None:
    record = ledger.open("fake", "a test")
    facts = json.loads((record.folder / RECORD).read_text())
    facts["owner"] = {"pid": os.getppid(), "started": "another boot:1"}
    (record.folder / RECORD).write_text(json.dumps(facts))
    assert [found.id for found in ledger.reap()] == [record.id]


def test_a_machine_of_a_live_process_of_somebody_else_is_not_touched(ledger: Ledger) -> None:
    record = ledger.open("fake", "a test")
    facts = json.loads((record.folder / RECORD).read_text())
    first = ProcessIdentity.of(1)
    assert first is not None
    facts["owner"] = {"pid": first.pid, "started": first.started}
    (record.folder / RECORD).write_text(json.dumps(facts))
    assert ledger.reap() == []
    assert [found.owner for found in ledger.records()] == [first]


@pytest.mark.parametrize("missing", ["id", "token", "owner", "created"])
def test_a_record_without_a_field_is_none(ledger: Ledger, missing: str) -> None:
    record = ledger.open("fake", "a test")
    facts = json.loads((record.folder / RECORD).read_text())
    del facts[missing]
    (record.folder / RECORD).write_text(json.dumps(facts))
    assert ledger.records() == []


def test_a_ledger_that_nobody_wrote_to_is_empty(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "nowhere")
    assert ledger.records() == []
    assert ledger.reap() == []
    assert not (tmp_path / "nowhere").exists()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one page, full."""
    mount = tmp_path / "full"
    mount.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system takes root and mount(8)")
    command = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=20", "none", str(mount)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    try:
        (mount / "filler").write_bytes(bytes(4096))
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_is_a_host_error_that_leaves_nothing_behind(full_disk: Path) -> None:
    ledger = Ledger(full_disk / "machines")
    with pytest.raises(HostError, match=r"no machine can be recorded below .*: No space left on device") as full:
        ledger.open("fake", "a test")
    assert "free some space" in full.value.hint
    assert list((full_disk / "machines").iterdir()) == []
    (full_disk / "filler").unlink()
    assert isinstance(ledger.open("fake", "a test"), Record)


def test_a_place_that_cannot_be_a_folder_is_a_host_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="Not a directory"):
        Ledger(tmp_path / "file" / "machines").open("fake", "a test")
