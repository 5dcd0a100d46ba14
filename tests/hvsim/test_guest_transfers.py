"""Files, the serial port and the screen of a simulated guest, and files of its host: what travels in bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CmdletError
from pytest_hyperv.psrp.calls import Script
from tests.hvsim.guest.trial import TIMEOUT, Guest, Trial, make_trial
from tests.hvsim.host import power


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    """A host with one running guest."""
    return make_trial(tmp_path / "host")


@pytest.fixture
def guest(trial: Trial) -> Iterator[Guest]:
    """A session into it."""
    with trial.guest() as opened:
        yield opened


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


def test_the_serial_port_is_heard_on_the_host(trial: Trial, guest: Guest) -> None:
    guest.run("cmd", "/s", "/c", "echo before>COM1").check()
    with trial.process() as listener:
        script = Script(text("console"), PipeName="trial", TimeoutMilliseconds=5000)
        with listener.start(script, timeout=TIMEOUT) as running:
            items = running.items()
            assert next(items).value == "connected"
            guest.run("cmd", "/s", "/c", "echo word>COM1").check()
            assert next(items).value.startswith(b"word")
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
