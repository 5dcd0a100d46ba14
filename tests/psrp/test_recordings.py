"""Recorded traffic of the vendor's client and server: it decodes, and both our ends replay it to the same end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.calls import Call, Command, Script
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.pipes import Pipe
from pytest_hyperv.psrp.secret import Secret
from tests.psrp import replay
from tests.psrp.peer import vocabulary
from tests.psrp.roads import PROJECT, process_pipe

COPIES = Path(__file__).parent / "recordings"
ORIGINALS = PROJECT.parent / "shared" / "psrp-transcripts"
NOT_COPIED = {"input.jsonl", "large.jsonl"}
"""Recordings of bulk data, too large to carry along."""

copies = sorted(COPIES.glob("*.jsonl"))
originals_only = [ORIGINALS / name for name in sorted(NOT_COPIED)]
needs_originals = pytest.mark.skipif(
    not ORIGINALS.is_dir(), reason=f"the folder {ORIGINALS.name} is not beside the project"
)


@pytest.mark.parametrize("path", copies, ids=lambda path: path.stem)
def test_a_recording_is_replayed_to_its_end(path: Path) -> None:
    assert replay.shortfalls(path) == []


@needs_originals
@pytest.mark.parametrize("path", originals_only, ids=lambda path: path.stem)
def test_a_recording_of_bulk_data_is_replayed_to_its_end(path: Path) -> None:
    assert replay.shortfalls(path) == []


@needs_originals
def test_the_copies_are_in_step_with_the_originals() -> None:
    originals = {path.name: path.read_bytes() for path in ORIGINALS.glob("*.jsonl")}
    assert {path.name for path in copies} | NOT_COPIED == set(originals)
    assert [path.name for path in copies if path.read_bytes() != originals[path.name]] == []


def changed(name: str, into: Path, change: dict[str, str]) -> Path:
    """A copy of a recording with pieces of its lines replaced, and the lines left out that become empty."""
    lines = []
    for line in (COPIES / name).read_text(encoding="utf-8").splitlines():
        at, direction, text = json.loads(line)
        for piece, replacement in change.items():
            text = text.replace(piece, replacement)
        if text:
            lines.append(json.dumps([at, direction, text]))
    target = into / name
    target.write_text("\n".join(lines), encoding="utf-8")
    return target


def test_a_recording_that_is_not_the_framing_falls_short(tmp_path: Path) -> None:
    broken = changed("open-run-close.jsonl", tmp_path, {"<CommandAck": "<Surprise"})
    assert "unknown element Surprise" in replay.shortfalls(broken)[0]


def test_a_recording_with_a_message_that_does_not_decode_falls_short(tmp_path: Path) -> None:
    source = (COPIES / "open-run-close.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in source]
    bodies = [line for line in lines if line[1] == "<" and line[2].startswith("<Data")]
    text = bodies[-1][2].removesuffix("</Data>")
    bodies[-1][2] = text[:-44] + "A" * 40 + text[-4:] + "</Data>"
    target = tmp_path / "open-run-close.jsonl"
    target.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert "was not decoded" in replay.shortfalls(target)[0]


def test_an_empty_file_and_a_missing_one_fall_short(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert replay.shortfalls(tmp_path / "empty.jsonl") == ["not a recording: it holds no traffic"]
    assert replay.shortfalls(tmp_path / "missing.jsonl")[0].startswith("not readable")


def test_the_command_prints_one_line_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay.main([str(COPIES / "stop.jsonl"), str(tmp_path / "missing.jsonl")]) == 1
    good, bad = capsys.readouterr().out.splitlines()
    assert good.endswith("stop.jsonl: nothing fell short")
    assert "missing.jsonl: not readable" in bad


class Recorder:
    """A pipe that writes down what passes, as the recordings are written."""

    def __init__(self, inner: Pipe, path: Path) -> None:
        self.name = "recorder"
        self._inner = inner
        self._path = path
        self._rest = b""

    def send(self, data: bytes, timeout: float) -> None:
        self._write(">", data.splitlines())
        self._inner.send(data, timeout)

    def receive(self, timeout: float) -> bytes | None:
        data = self._inner.receive(timeout)
        *lines, self._rest = (self._rest + (data or b"")).split(b"\n")
        self._write("<", lines)
        return data

    def diagnosis(self) -> str:
        return self._inner.diagnosis()

    def close(self) -> None:
        self._inner.close()

    def _write(self, direction: str, lines: list[bytes]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps([0.0, direction, line.decode()]) + "\n" for line in lines)


def several_at_once(session: Session) -> None:
    sleepers = [session.start(Script(vocabulary.SLEEP)) for _ in range(2)]
    for sleeper in sleepers:
        assert next(sleeper.items()).value == "started"
    session.run(Script(vocabulary.ECHO, "beside them"))
    for sleeper in sleepers:
        sleeper.stop()


def closed_while_running(session: Session) -> None:
    assert next(session.start(Script(vocabulary.SLEEP)).items()).value == "started"


def bulk(session: Session) -> None:
    session.run(Script(vocabulary.SUM), input=bytes(2_500_000))
    session.run(Script(vocabulary.BYTES, 2, 500_000))
    session.run(Script(vocabulary.FIRST), input=[1, 2, 3])


def secrets_and_prompts(session: Session) -> None:
    session.run(Script(vocabulary.SECRET, Secret("x")))
    session.run(Script(vocabulary.SECRET_BACK, "y"))
    session.run(Script(vocabulary.PROMPT))


def everything_on_every_stream(session: Session) -> None:
    session.run(Script(vocabulary.STREAMS))
    session.run(Script(vocabulary.TYPES))
    session.run(Script(vocabulary.THROW))
    session.run(Call(Command("Write-Output", 1)).then(Command("Get-Item", "x")))
    session.run(Script(vocabulary.EXIT, 3))


def broken_off(session: Session) -> None:
    with pytest.raises(SessionLost):
        session.run(Command("Test-Fault", Kind="die-mid-pipeline"))


@pytest.mark.parametrize(
    "work", [several_at_once, closed_while_running, bulk, secrets_and_prompts, everything_on_every_stream, broken_off]
)
@pytest.mark.parametrize("ahead", [False, True])
def test_a_recording_of_our_own_is_replayed_to_its_end(
    tmp_path: Path, work: Callable[[Session], None], ahead: bool
) -> None:
    path = tmp_path / "own.jsonl"
    with (
        process_pipe() as pipe,
        Session.open(Recorder(pipe, path), timeout=20, max_runspaces=3, ahead=ahead) as session,
    ):
        work(session)
    assert replay.shortfalls(path) == []
