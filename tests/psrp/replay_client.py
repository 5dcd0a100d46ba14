"""The client against the recorded server: a pipe that answers as recorded, and what our session made of it."""

from __future__ import annotations

import contextlib
import queue
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psrpcore
from psrpcore import types as ps

from pytest_hyperv.errors import HypervError
from pytest_hyperv.psrp.calls import Call, Command, Script, Stage, Statement
from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.dotnet import Credential, ScriptText
from pytest_hyperv.psrp.framing import SESSION, Control, Data, LineParser, Mark, encode
from pytest_hyperv.psrp.messages import Joiner, Message, cut
from pytest_hyperv.psrp.pipeline import RECORDS, RunningCall
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.values import from_wire
from tests.psrp.recording import Recording, Talk, event_of

PATIENCE = 10.0
_NO_ANSWER = 0.3
SUBSTITUTE = "a secret of the recording"
_SECRET = re.compile(rb"(<SS(?: N=\"[^\"]*\")?>)([^<]*)(</SS>)")
_ACKS = {Mark.COMMAND: Mark.COMMAND_ACK, Mark.SIGNAL: Mark.SIGNAL_ACK, Mark.CLOSE: Mark.CLOSE_ACK}


class RecordedServer:
    """A pipe whose other end says what the recorded server said, once it has heard as much as that one had.

    Identities are ours; the session key is made anew, so every recorded secret is replaced by `SUBSTITUTE`.
    """

    name = "recorded server"

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._unannounced = list(recording.pipelines)
        self._talks: dict[uuid.UUID, Talk] = {SESSION: recording.session}
        self._progress: dict[uuid.UUID, dict[str, int]] = {}
        self._parser = LineParser(noise_allowed=False)
        self._joiner = Joiner()
        self._outgoing: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._keys = psrpcore.ServerRunspacePool()
        self._pool = uuid.UUID(int=0)
        self._next = 1

    def send(self, data: bytes, timeout: float) -> None:  # noqa: ARG002 - nothing blocks here
        """Hear the client."""
        for packet in self._parser.feed(data):
            counts = self._progress.setdefault(packet.guid, {"messages": 0, "signals": 0, "closes": 0, "told": 0})
            if isinstance(packet, Data):
                self._say(Control(Mark.DATA_ACK, packet.guid))
                for message in self._joiner.feed(packet.payload):
                    self._hear(message, counts)
                self._tell(packet.guid, counts)
            else:
                self._mark(packet, counts)

    def receive(self, timeout: float) -> bytes | None:
        """What the recorded server says next."""
        with contextlib.suppress(queue.Empty):
            return self._outgoing.get(timeout=timeout)
        return None

    def diagnosis(self) -> str:
        """Nothing."""
        return ""

    def close(self) -> None:
        """End of stream."""
        self._outgoing.put(b"")

    def _say(self, packet: Control | Data) -> None:
        self._outgoing.put(encode(packet))

    def _hear(self, message: Message, counts: dict[str, int]) -> None:
        kind = ps.PSRPMessageType(message.kind)
        self._pool = uuid.UUID(bytes_le=message.raw[8:24])
        if kind is ps.PSRPMessageType.PublicKey and not self._recorded(kind):
            self._exchange(message)
        else:
            counts["messages"] += 1
            if kind is ps.PSRPMessageType.PublicKey:
                self._exchange(message)

    def _recorded(self, kind: ps.PSRPMessageType) -> bool:
        return any(message.kind == kind.value for message in self._recording.session.said)

    def _exchange(self, message: Message) -> None:
        self._keys.state = ps.RunspacePoolState.Opened
        self._keys.receive_data(psrpcore.PSRPPayload(message.fragment, psrpcore.StreamType.default, None))
        self._keys.next_event()
        payload = self._keys.data_to_send()
        if payload is None:
            raise AssertionError("psrpcore gave no answer to a public key")
        for answer in Joiner().feed(payload.data):
            self._pass_on(answer, SESSION)

    def _mark(self, packet: Control, counts: dict[str, int]) -> None:
        if packet.mark is Mark.COMMAND and self._unannounced:
            self._talks[packet.guid] = self._unannounced.pop(0)
        counts["signals"] += packet.mark is Mark.SIGNAL
        counts["closes"] += packet.mark is Mark.CLOSE
        self._tell(packet.guid, counts)
        talk = self._talks.get(packet.guid)
        answer = _ACKS[packet.mark]
        if talk is None or packet.mark not in talk.marks or answer in talk.acknowledged:
            self._say(Control(answer, packet.guid))

    def _tell(self, guid: uuid.UUID, counts: dict[str, int]) -> None:
        talk = self._talks.get(guid)
        while talk is not None and counts["told"] < len(talk.heard):
            due = talk.heard[counts["told"]]
            early = counts["messages"] < due.after_messages or counts["signals"] < due.after_signals
            if early or counts["closes"] < due.after_closes:
                return
            counts["told"] += 1
            if due.message.kind != ps.PSRPMessageType.EncryptedSessionKey.value:
                self._pass_on(due.message, guid)

    def _pass_on(self, message: Message, guid: uuid.UUID) -> None:
        body = _SECRET.sub(lambda found: found[1] + self._secret() + found[3], message.raw[40:])
        raw = message.raw[:8] + self._pool.bytes_le + guid.bytes_le + body
        renumbered = replace(message, object_id=self._next, raw=raw)
        self._next += 1
        for payload in cut([renumbered]):
            self._say(Data(guid, payload))

    def _secret(self) -> bytes:
        pipeline = psrpcore.ServerPipeline(self._keys, uuid.uuid4())
        pipeline.state = ps.PSInvocationState.Running
        pipeline.write_output(ps.PSSecureString(SUBSTITUTE))
        payload = self._keys.data_to_send()
        found = None if payload is None else _SECRET.search(payload.data)
        if found is None:
            raise AssertionError("psrpcore wrote no secret")
        return found[2]


def shortfalls(recording: Recording) -> Iterator[str]:
    """What our client made otherwise than the recorded one: nothing, when all is well."""
    try:
        session = Session.open(RecordedServer(recording), timeout=PATIENCE)
    except HypervError as error:
        yield f"client: the session did not open: {error}"
        return
    try:
        if any(b"<SS" in heard.message.raw for talk in recording.pipelines for heard in talk.heard):
            session.exchange_key(PATIENCE)
        yield from _pipelines(session, recording)
    except HypervError as error:
        yield f"client: {error}"
    finally:
        session.close(_NO_ANSWER)
    if recording.closed and "is closed" not in str(session.lost) and "session closed" not in str(session.lost):
        yield f"client: the session did not end as recorded: {session.lost}"


def _pipelines(session: Session, recording: Recording) -> Iterator[str]:
    running: dict[uuid.UUID, RunningCall] = {}
    for step in recording.steps:
        talk = recording.talks[step.packet.guid]
        if not step.from_client or talk is recording.session:
            continue
        kinds = {ps.PSRPMessageType(message.kind) for message in step.messages}
        if ps.PSRPMessageType.CreatePipeline in kinds:
            running[talk.guid] = session.start(call_of(talk), timeout=PATIENCE, input=input_of(talk))
        elif ps.PSRPMessageType.GetCommandMetadata in kinds:
            yield "client: has no GetCommandMetadata"
        elif isinstance(step.packet, Control) and talk.guid in running:
            if step.packet.mark is Mark.SIGNAL:
                running[talk.guid].stop(PATIENCE)
            elif step.packet.mark is Mark.CLOSE and not talk.closed_early:
                yield from _ended(running.pop(talk.guid), talk)
    session.close(PATIENCE if recording.closed else _NO_ANSWER)
    for guid, call in running.items():
        if recording.talks[guid].state:
            yield from _ended(call, recording.talks[guid])


def _ended(call: RunningCall, talk: Talk) -> Iterator[str]:
    result = call.result()
    state = "Stopped" if result.stopped else "Failed" if result.failure else "Completed"
    if state != (talk.state or "Stopped"):
        yield f"client: {call.title!r} ended {state}, recorded is {talk.state}"
    events = talk.events
    wanted = [
        _substituted(from_wire(event.data)) for event in events if isinstance(event, psrpcore.PipelineOutputEvent)
    ]
    if repr(result.output) != repr(wanted):
        yield f"client: {call.title!r} gave {result.output!r}, recorded is {wanted!r}"
    failed = int(result.failure is not None and not result.stopped)
    counts = {
        "error": len(result.errors) - failed,
        "warning": len(result.warnings),
        "verbose": len(result.verbose),
        "debug": len(result.debug),
        "information": len(result.information),
    }
    for kind, stream, _ in RECORDS:
        recorded = sum(isinstance(event, kind) for event in events)
        if counts.get(stream, recorded) != recorded:
            yield f"client: {call.title!r} gave {counts[stream]} records on {stream}, recorded are {recorded}"
    exits = [event for event in events if _exits(event)]
    if exits and result.exit_code != int(exits[-1].method_parameters[0]):
        yield f"client: {call.title!r} exited with {result.exit_code}"


def _exits(event: Any) -> bool:
    is_call = isinstance(event, psrpcore.PipelineHostCallEvent)
    return is_call and event.method_identifier is ps.HostMethodIdentifier.SetShouldExit


def _substituted(value: Any) -> Any:
    if isinstance(value, Secret):
        return Secret(SUBSTITUTE)
    return Credential(value.user, Secret(SUBSTITUTE)) if isinstance(value, Credential) else value


def call_of(talk: Talk) -> Call:
    """The recorded pipeline as a call of ours."""
    (event,) = (found for message in talk.said if isinstance(found := event_of(message), psrpcore.CreatePipelineEvent))
    statements: list[list[Stage]] = [[]]
    for command in event.pipeline.commands:
        args = [_sendable(from_wire(value)) for name, value in command.parameters if name is None]
        params = {name: _sendable(from_wire(value)) for name, value in command.parameters if name is not None}
        stage = Script if command.is_script else Command
        statements[-1].append(stage(command.command_text, *args, **params))
        if command.end_of_statement:
            statements.append([])
    call, *more = [Statement(tuple(stages)) for stages in statements if stages]
    joined = Call(call)
    for statement in more:
        joined = joined.then(statement)
    return joined


def _sendable(value: Any) -> Any:
    """The value as we may send it: a ScriptBlock arrives as its text, which is how it failed to bind in the recording
    too.
    """
    return str(value) if isinstance(value, ScriptText) else value


def input_of(talk: Talk) -> list[Any] | None:
    """The recorded input objects; None for a pipeline without input."""
    events = [event_of(message) for message in talk.said]
    if any(isinstance(event, psrpcore.CreatePipelineEvent) and event.pipeline.no_input for event in events):
        return None
    return [from_wire(event.data) for event in events if isinstance(event, psrpcore.PipelineInputEvent)]
