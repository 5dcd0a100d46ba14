"""The peer against the recorded client: the recorded lines go in as they are, and what comes out is compared."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator

import psrpcore

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.framing import SESSION, Control, Data, LineParser, Mark
from pytest_hyperv.psrp.messages import Joiner, Message
from pytest_hyperv.psrp.pipes import Pipe, ProcessPipe
from tests.psrp.recording import END_STATES, Recording, Step, body_of, event_of
from tests.psrp.roads import PROJECT, peer_argv

PATIENCE = 10.0
_ACKS = {Mark.COMMAND: Mark.COMMAND_ACK, Mark.SIGNAL: Mark.SIGNAL_ACK, Mark.CLOSE: Mark.CLOSE_ACK}


class Listener:
    """What the peer has said so far, by GUID."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._parser = LineParser()
        self._joiner = Joiner()
        self.marks: dict[uuid.UUID, list[Mark]] = defaultdict(list)
        self.messages: dict[uuid.UUID, list[Message]] = defaultdict(list)

    def wait(self, until: Callable[[], bool], patience: float = PATIENCE) -> bool:
        """Listen until the condition holds; false when it did not in time or the peer ended."""
        end = time.monotonic() + patience
        while not until() and time.monotonic() < end:
            data = self._pipe.receive(0.1)
            if data == b"":
                return until()
            for packet in self._parser.feed(data or b""):
                if isinstance(packet, Control):
                    self.marks[packet.guid].append(packet.mark)
                else:
                    self.messages[packet.guid] += self._joiner.feed(packet.payload)
        return until()

    def state(self, guid: uuid.UUID) -> str:
        """How a pipeline has ended; empty while it has not."""
        events = [event_of(message) for message in self.messages[guid]]
        states = [event.state.name for event in events if isinstance(event, psrpcore.PipelineStateEvent)]
        return next((state for state in states if state in END_STATES), "")


def shortfalls(recording: Recording) -> Iterator[str]:
    """What the peer did otherwise than the recorded server: nothing, when all is well."""
    pipe = ProcessPipe(peer_argv("--book", str(recording.path.resolve())), name="peer", cwd=PROJECT)
    listener = Listener(pipe)
    try:
        yield from _said(recording, pipe, listener)
    except SessionLost as error:
        yield f"peer: {error}"
    finally:
        pipe.close()


def _said(recording: Recording, pipe: Pipe, listener: Listener) -> Iterator[str]:
    acknowledgements: dict[uuid.UUID, int] = defaultdict(int)
    due: dict[uuid.UUID, int] = defaultdict(int)
    for step in recording.steps:
        guid = step.packet.guid
        if not step.from_client:
            due[guid] += len(step.messages)
            continue
        if guid != SESSION and not listener.wait(lambda guid=guid: len(listener.messages[guid]) >= due[guid]):  # type: ignore[misc]
            yield f"peer: {len(listener.messages[guid])} messages came for {guid}, {due[guid]} were due"
        pipe.send(step.line, PATIENCE)
        yield from _acknowledged(step, recording, listener, acknowledgements)
    for talk in recording.pipelines:
        listener.wait(lambda talk=talk: len(listener.messages[talk.guid]) >= len(talk.heard))  # type: ignore[misc]
        if listener.state(talk.guid) != talk.state:
            yield f"peer: {talk.guid} ended {listener.state(talk.guid) or 'not at all'}, recorded is {talk.state}"
        wanted = [(heard.message.kind, body_of(heard.message)) for heard in talk.heard]
        given = [(message.kind, body_of(message)) for message in listener.messages[talk.guid]]
        if given != wanted:
            yield f"peer: {talk.guid} gave {len(given)} messages that are not the {len(wanted)} recorded"


def _acknowledged(step: Step, recording: Recording, listener: Listener, counts: dict[uuid.UUID, int]) -> Iterator[str]:
    guid = step.packet.guid
    if isinstance(step.packet, Data):
        counts[guid] += 1
        count = counts[guid]
        if not listener.wait(lambda: listener.marks[guid].count(Mark.DATA_ACK) >= count):
            yield f"peer: Data number {count} for {guid} was not acknowledged"
        return
    answer = _ACKS[step.packet.mark]
    recorded = answer in recording.talks[guid].acknowledged
    if recorded and not listener.wait(lambda: answer in listener.marks[guid]):
        yield f"peer: {step.packet.mark.value} for {guid} was not acknowledged"
