"""What a session does when the other end misbehaves: one clear error within the deadline, and nothing left behind."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_hyperv.errors import CommandFailed, CommandTimeout, SessionLost
from pytest_hyperv.psrp.calls import Command, Script
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.framing import SESSION, Data, encode
from pytest_hyperv.psrp.local import open_local
from pytest_hyperv.psrp.messages import Message
from pytest_hyperv.psrp.pipes import ProcessPipe
from tests.psrp.peer import vocabulary
from tests.psrp.peer.faults import COMMAND
from tests.psrp.roads import PROJECT, Road, peer_argv, process_pipe


def fault(kind: str) -> Command:
    return Command(COMMAND, Kind=kind)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Every thread that the test caused has ended, and every peer that this process started."""
    threads = set(threading.enumerate())
    yield
    started = [
        thread for thread in threading.enumerate() if thread not in threads and thread.name.startswith(("psrp", "peer"))
    ]
    for thread in started:
        thread.join(5)
    assert [thread for thread in started if thread.is_alive()] == []
    assert [child for child in psutil.Process().children() if "tests.psrp.peer" in child.cmdline()] == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("die", "ended the session"),
        ("die-mid-line", "ended the session in the middle of a line"),
        ("die-mid-pipeline", "ended the session"),
        ("die-before-ack", "ended the session"),
        ("garbage", "malformed line"),
        ("unknown-element", "unknown element Surprise"),
        ("long-line", "a line of more than 4194304 bytes"),
        ("socket-error", "the broker went away"),
        ("bad-fragment", "too few for the header of a fragment"),
    ],
)
def test_a_fault_that_ends_the_session_says_what_it_was(peer_road: Road, kind: str, said: str) -> None:
    with peer_road.session() as session:
        with pytest.raises(SessionLost, match=said):
            session.run(fault(kind), timeout=30)
        with pytest.raises(SessionLost, match=said):
            session.run(Script(vocabulary.ECHO, "later"))


@pytest.mark.parametrize("kind", ["silence", "no-data-ack"])
def test_an_answer_that_never_comes_is_a_timeout(peer_road: Road, kind: str) -> None:
    with peer_road.pipe() as pipe, Session.open(pipe, timeout=20, ahead=peer_road.ahead) as session:
        with pytest.raises(CommandTimeout):
            session.run(fault(kind), timeout=0.3, input=[1, 2, 3] if kind == "no-data-ack" else None)
        session.close(timeout=0.3)


def test_a_session_whose_pipeline_does_not_stop_is_ended(peer_road: Road) -> None:
    with peer_road.session() as session:
        with session.start(fault("stubborn")) as running:
            assert next(running.items()).value == "started"
            with pytest.raises(SessionLost, match=r"did not stop in 0\.3 s"):
                running.stop(timeout=0.3)
        with pytest.raises(SessionLost, match="did not stop"):
            session.run(Script(vocabulary.ECHO, "later"))


def test_a_pipeline_that_is_closed_without_a_last_state_has_stopped(peer_road: Road) -> None:
    with peer_road.pipe() as pipe:
        session = Session.open(pipe, timeout=20)
        running = session.start(fault("no-state"), timeout=20)
        assert next(running.items()).value == "started"
        session.close()
        assert running.result().stopped


def test_a_close_that_is_never_acknowledged_is_bounded(peer_road: Road) -> None:
    with peer_road.pipe() as pipe:
        session = Session.open(pipe, timeout=20)
        assert session.run(fault("no-close-ack")).output == ["after"]
        session.close(timeout=0.3)
        assert session.lost is not None


def test_a_peer_that_takes_no_input_is_a_timeout(peer_road: Road) -> None:
    with peer_road.session() as session:
        with pytest.raises((CommandTimeout, SessionLost)):
            session.run(fault("no-input"), input=bytes(8_000_000), timeout=0.5)
        session.close(timeout=0.5)


def test_a_call_beside_one_whose_input_is_not_taken_keeps_its_own_deadline() -> None:
    with process_pipe() as pipe, Session.open(pipe, timeout=20) as session:
        blocked = session.start(fault("no-input"), input=bytes(8_000_000), timeout=3)

        def feed() -> None:
            with contextlib.suppress(CommandTimeout, SessionLost):
                blocked.result()

        feeder = threading.Thread(target=feed)
        feeder.start()
        with pytest.raises(CommandTimeout, match=r"script did not end in 0\.3 s"):
            session.run(Script(vocabulary.ECHO, "beside"), timeout=0.3)
        session.close(timeout=0.3)
        feeder.join()


def test_a_state_that_comes_after_the_close_is_dropped(peer_road: Road) -> None:
    with peer_road.session() as session:
        assert session.run(fault("late-state")).output == ["after"]
        assert session.run(Script(vocabulary.ECHO, "alive")).one == "alive"


def test_noise_between_the_lines_is_skipped_and_shown_when_the_session_ends(peer_road: Road) -> None:
    with peer_road.session() as session:
        assert session.run(fault("noise")).output == ["after"]
        with pytest.raises(SessionLost, match="a program wrote this straight to stdout"):
            session.run(fault("die"))


@pytest.mark.parametrize("kind", ["bad-xml", "bad-value"])
def test_a_message_that_cannot_be_read_fails_its_call_alone(peer_road: Road, kind: str) -> None:
    with peer_road.session() as session:
        with pytest.raises(CommandFailed, match="cannot be read"):
            session.run(fault(kind))
        assert session.run(Script(vocabulary.ECHO, "alive"), timeout=20).one == "alive"


def test_characters_that_xml_forbids_are_read(peer_road: Road) -> None:
    with peer_road.session() as session:
        assert session.run(fault("noncharacters")).output == ["\ufffe\uffff", "after"]


def test_the_last_words_on_stderr_are_in_the_error() -> None:
    with (
        process_pipe() as pipe,
        Session.open(pipe, timeout=20) as session,
        pytest.raises(SessionLost, match=r"dies on demand(.|\n)*exited with code 3"),
    ):
        session.run(fault("die"))


def test_what_a_process_started_is_ended_with_it() -> None:
    with process_pipe() as pipe, Session.open(pipe, timeout=20) as session:
        child = psutil.Process(session.run(fault("child")).output[0])
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


class Saying:
    """A pipe whose other end says one thing and then nothing."""

    name = "sayer"

    def __init__(self, words: bytes) -> None:
        self._words = [words]
        self._ended = threading.Event()

    def send(self, data: bytes, timeout: float) -> None:
        """Take it."""

    def receive(self, timeout: float) -> bytes | None:
        if self._words:
            return self._words.pop()
        return b"" if self._ended.wait(timeout) else None

    def diagnosis(self) -> str:
        return ""

    def close(self) -> None:
        self._ended.set()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (b"<Obj", "sayer said what cannot be read"),
        (
            b'<Obj RefId="0"><MS><I32 N="RunspaceState">5</I32></MS></Obj>',
            "sayer (reported its session broken|spoke of a session before)",
        ),
    ],
)
def test_a_session_that_opens_wrongly_says_how(state: bytes, said: str) -> None:
    head = (1).to_bytes(4, "little") + (0x00021005).to_bytes(4, "little") + bytes(32)
    words = encode(Data(SESSION, Message(1, 0x00021005, None, head + state).fragment))
    with pytest.raises(SessionLost, match=said):
        Session.open(Saying(words), timeout=20)


def test_a_session_that_is_never_opened_ends_at_its_deadline() -> None:
    pipe = ProcessPipe([sys.executable, "-c", "import sys; sys.stdin.read()"], name="silent")
    with pytest.raises(SessionLost, match=r"silent did not open a session in 0\.3 s"):
        Session.open(pipe, timeout=0.3)


def test_a_program_that_does_not_exist_says_which() -> None:
    with pytest.raises(SessionLost, match="no-such-shell could not be started"):
        ProcessPipe(["/no/such/no-such-shell"])


def test_opening_is_tried_again_when_the_process_dies_at_its_start(tmp_path: Path) -> None:
    with open_local(peer_argv("--die-once", str(tmp_path / "died")), cwd=PROJECT, timeout=20) as session:
        assert session.run(Script(vocabulary.ECHO, "alive")).one == "alive"
    assert (tmp_path / "died").exists()


def test_opening_gives_up_with_what_the_process_said() -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no licence to start')"]
    with pytest.raises(SessionLost, match="no licence to start"):
        open_local(argv, timeout=20, attempts=2)
