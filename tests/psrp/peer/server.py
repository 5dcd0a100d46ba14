"""The session: acknowledgements, pipelines in threads, streams out, host calls, stop and close."""

from __future__ import annotations

import contextlib
import itertools
import queue
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psrpcore
from psrpcore import types as ps

from . import faults
from .book import Answer, Book
from .records import ShellError, error_record, state_message, stopped_record
from .wire import ZERO, BrokenLine, Wire

FRAGMENT = 32 * 1024
EXIT_BROKEN = 160
METADATA = ["Name", "Namespace", "HelpUri", "CommandType", "ResolvedCommandName", "OutputType", "Parameters"]
"""What a client that asks for commands gets of each."""


class Stopped(BaseException):
    """The pipeline was told to stop; unwinds it from wherever it is."""


class ExitRequested(BaseException):
    """A script said ``exit``; the rest of it does not run."""


Invoke = Callable[["Running", psrpcore.PowerShell], None]
"""Runs the statements of a pipeline; raises ShellError when one ends it."""


class Running:
    """One pipeline while it runs: what its commands see."""

    def __init__(self, server: Server, guid: uuid.UUID) -> None:
        self.server = server
        self.guid = guid
        self.pipeline = psrpcore.ServerPipeline(server.pool, guid)
        self.stop = threading.Event()
        self.stubborn = False
        self.ended = threading.Event()
        self.started = False
        self.input: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.late_state = False
        self.tells_its_end = True
        self.heard = 0

    @property
    def variables(self) -> dict[str, Any]:
        """The session's global variables."""
        return self.server.variables

    @property
    def shell(self) -> psrpcore.PowerShell:
        """What is to be run; the event would build it anew at each look."""
        shell = self.pipeline.metadata
        if isinstance(shell, psrpcore.GetMetadata):
            return _looking_up(shell)
        if not isinstance(shell, psrpcore.PowerShell):
            raise TypeError(f"a pipeline was to be run that says {shell!r}")
        return shell

    def begin(self) -> None:
        """Run the pipeline in a thread of its own."""
        self.started = True
        threading.Thread(target=self._run, args=(self.shell,), daemon=True).start()

    def write(self, change: Callable[[psrpcore.ServerPipeline], object]) -> None:
        """Let ``change`` write to the pipeline's streams, and send it."""
        self.server.send(lambda: change(self.pipeline))

    def output(self, value: Any) -> None:
        """One object on the output stream."""
        self.check()
        self.write(lambda pipeline: pipeline.write_output(value))

    def error(self, failure: ShellError, *, stop: bool = False) -> None:
        """A non-terminating error, or the end of the pipeline when ErrorAction is Stop."""
        if stop:
            raise failure
        record = error_record(failure)
        self.write(lambda pipeline: pipeline.prepare_message(record, message_type=ps.PSRPMessageType.ErrorRecord))

    def exit(self, code: int) -> None:
        """What ``exit`` does in a script sent straight to a session: a host call, and the end of the script."""
        self.write(lambda pipeline: pipeline.host_call(ps.HostMethodIdentifier.SetShouldExit, [ps.PSInt(code)]))
        raise ExitRequested

    def ask(self, method: ps.HostMethodIdentifier, parameters: list[Any]) -> Any:
        """A host call that wants an answer. Raises ShellError when the client refuses."""
        self.write(lambda pipeline: pipeline.host_call(method, parameters))
        answer = self.wait(self.answers)
        if answer.error is not None:
            raise ShellError(str(answer.error.Exception.Message), "HostFunctionNotImplemented", "InvalidOperation")
        return answer.result

    def wait(self, source: queue.SimpleQueue[Any]) -> Any:
        """The next entry of ``source``, or Stopped."""
        while True:
            self.check()
            try:
                return source.get(timeout=0.02)
            except queue.Empty:
                continue

    def inputs(self) -> Iterator[Any]:
        """The objects streamed in, to their end."""
        while not isinstance(event := self.wait(self.input), psrpcore.EndOfPipelineInputEvent):
            yield event.data

    def sleep(self, seconds: float) -> None:
        """Start-Sleep."""
        self.stop.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raises Stopped once the pipeline was told to stop."""
        if self.stop.is_set() and not self.stubborn:
            raise Stopped

    def _run(self, shell: psrpcore.PowerShell) -> None:
        book = self.server.book
        answers = None if book is None else book.take(shell)
        try:
            with self.server.runspaces:
                self.pipeline.state = ps.PSInvocationState.Running
                if answers is not None:
                    self._recite(answers)
                else:
                    self.finish(*self._outcome(shell))
        except Stopped:
            self.finish(ps.PSInvocationState.Stopped, stopped_record())
        self.ended.set()

    def _recite(self, answers: list[Answer]) -> None:
        """Say what was recorded, each part once the client has said what came before it."""
        for answer in answers:
            while self.heard < answer.after_messages or (answer.after_signals and not self.stop.is_set()):
                self.check()
                self.stop.wait(0.01)
            self.server.message(self.guid, answer.kind, answer.body)

    def _outcome(self, shell: psrpcore.PowerShell) -> tuple[ps.PSInvocationState, Any]:
        try:
            self.check()
            self.server.invoke(self, shell)
        except ExitRequested:
            pass
        except ShellError as failure:
            return ps.PSInvocationState.Failed, error_record(failure)
        return ps.PSInvocationState.Completed, None

    def finish(self, state: ps.PSInvocationState, failure: Any) -> None:
        """Send the pipeline's final state."""
        message = state_message(state, failure)

        def change(pipeline: psrpcore.ServerPipeline) -> None:
            pipeline.state = state
            if self.tells_its_end:
                pipeline.prepare_message(message, message_type=ps.PSRPMessageType.PipelineState)

        self.write(change)


def _looking_up(wanted: psrpcore.GetMetadata) -> psrpcore.PowerShell:
    """What the engine runs to describe commands (MS-PSRP 2.2.2.14): how many there are, then each of them."""
    looking = psrpcore.PowerShell()
    names = [str(name) for name in wanted.name or ["*"] if name is not None]
    for stages in (
        [("Measure-Object", {}), ("Select-Object", {"Property": ["Count"]})],
        [("Select-Object", {"Property": METADATA})],
    ):
        everything: list[tuple[str, dict[str, Any]]] = [("Get-Command", {"Name": names}), *stages]
        for name, parameters in everything:
            command = psrpcore.Command(name)
            command.add_parameters(**parameters)
            looking.commands.append(command)
        looking.commands[-1].end_of_statement = True
    return looking


class Server:
    """One session on one wire; `invoke` runs its pipelines, `private_data` is what the client hears of the server."""

    def __init__(
        self, wire: Wire, invoke: Invoke, book: Book | None = None, private_data: dict[str, Any] | None = None
    ) -> None:
        self.wire = wire
        self.invoke = invoke
        self.book = book
        self.pool = psrpcore.ServerRunspacePool(application_private_data=private_data)
        self.variables: dict[str, Any] = {}
        self.runspaces = threading.Semaphore(1)
        self.silent: set[str] = set()
        self.reading = True
        self._lock = threading.Lock()
        self._numbers = itertools.count(2**40)
        self._pipelines: dict[uuid.UUID, Running] = {}

    def serve(self) -> int:
        """Serve until the session is closed (0), or its input breaks off or is broken (160)."""
        try:
            for line in self.wire.lines():
                if line.element == "Data":
                    self._data(line.guid, line.payload)
                elif line.element == "Command":
                    with self._lock:
                        self._pipelines[line.guid] = Running(self, line.guid)
                    self.wire.mark("CommandAck", line.guid)
                elif line.element == "Signal":
                    self._aside(self._signal, line.guid)
                elif line.guid != ZERO:
                    self._aside(self._close, line.guid)
                elif line.element == "Close":
                    self._end()
                    return 0
                if not self.reading:
                    threading.Event().wait()
        except BrokenLine as error:
            sys.stderr.write(f"An error occurred while the peer read its input: {error}\n")
            return EXIT_BROKEN
        sys.stderr.write("The input of the peer ended before its session was closed.\n")
        return EXIT_BROKEN

    def send(self, change: Callable[[], Any]) -> None:
        """Let ``change`` queue messages in the pool and write them; the order on the wire is that of the pool."""
        with self._lock:
            change()
            self._flush()

    def message(self, guid: uuid.UUID, kind: int, body: bytes) -> None:
        """Write a message whose body is given, past psrpcore (MS-PSRP 2.2.1, 2.2.4)."""
        head = (
            (1).to_bytes(4, "little") + kind.to_bytes(4, "little") + self.pool.runspace_pool_id.bytes_le + guid.bytes_le
        )
        rest, number = head + body, 0
        with self._lock:
            object_id = next(self._numbers).to_bytes(8, "big")
            while rest:
                part, rest = rest[: FRAGMENT - 21], rest[FRAGMENT - 21 :]
                flags = bytes([(number == 0) | (not rest) << 1])
                self.wire.data(
                    guid, object_id + number.to_bytes(8, "big") + flags + len(part).to_bytes(4, "big") + part
                )
                number += 1

    def _flush(self) -> None:
        while (payload := self.pool.data_to_send(FRAGMENT)) is not None:
            stream = "PromptResponse" if payload.stream_type is psrpcore.StreamType.prompt_response else "Default"
            self.wire.data(payload.pipeline_id, payload.data, stream)

    def _data(self, guid: uuid.UUID, payload: bytes) -> None:
        """Input is acknowledged before it is decoded, a new pipeline after it, because of the faults it may ask for."""
        running = self._pipelines.get(guid)
        at_once = running is not None and running.started
        if at_once:
            self._acknowledge(guid)
        events = self._decoded(guid, payload)
        for event in events:
            if isinstance(event, psrpcore.CreatePipelineEvent) and running is not None:
                faults.before_ack(self, running.shell)
        if not at_once:
            self._acknowledge(guid)
        for event in events:
            self._handle(guid, event)

    def _acknowledge(self, guid: uuid.UUID) -> None:
        if "DataAck" not in self.silent:
            self.wire.mark("DataAck", guid)

    def _decoded(self, guid: uuid.UUID, payload: bytes) -> list[Any]:
        """Only this thread decodes; the lock is for the answers that messages of the session queue in the pool."""
        events = []
        with self._lock if guid == ZERO else contextlib.nullcontext():
            pipeline_id = None if guid == ZERO else guid
            self.pool.receive_data(psrpcore.PSRPPayload(payload, psrpcore.StreamType.default, pipeline_id))
            while (event := self.pool.next_event()) is not None:
                events.append(event)
                if guid == ZERO:
                    self._flush()
        return events

    def _handle(self, guid: uuid.UUID, event: Any) -> None:
        running = self._pipelines.get(guid)
        if isinstance(event, psrpcore.InitRunspacePoolEvent):
            self.runspaces = threading.Semaphore(event.max_runspaces)
        elif isinstance(event, psrpcore.GetAvailableRunspacesEvent):
            self.send(lambda: self.pool.runspace_availability_response(event.ci, self.pool.max_runspaces))
        elif isinstance(
            event, psrpcore.SetMaxRunspacesEvent | psrpcore.SetMinRunspacesEvent | psrpcore.ResetRunspaceStateEvent
        ):
            self.send(lambda: self.pool.runspace_availability_response(event.ci, True))
        elif running is None:
            return
        else:
            running.heard += 1
            self._hand_over(running, event)

    def _hand_over(self, running: Running, event: Any) -> None:
        if isinstance(event, psrpcore.CreatePipelineEvent | psrpcore.GetCommandMetadataEvent):
            running.begin()
        elif isinstance(event, psrpcore.PipelineInputEvent | psrpcore.EndOfPipelineInputEvent):
            running.input.put(event)
        elif isinstance(event, psrpcore.PipelineHostResponseEvent):
            running.answers.put(event)

    def _aside(self, work: Callable[[uuid.UUID], None], guid: uuid.UUID) -> None:
        running = self._pipelines.get(guid)
        if running is not None and running.started and not running.ended.is_set():
            threading.Thread(target=work, args=(guid,), daemon=True).start()
        else:
            work(guid)

    def _signal(self, guid: uuid.UUID) -> None:
        self._stopped(guid)
        self.wire.mark("SignalAck", guid)

    def _close(self, guid: uuid.UUID) -> None:
        running = self._stopped(guid)
        with self._lock:
            self._pipelines.pop(guid, None)
            self.pool.pipeline_table.pop(guid, None)
        if "CloseAck" in self.silent:
            return
        self.wire.mark("CloseAck", guid)
        if running is not None and running.late_state:
            running.finish(ps.PSInvocationState.Completed, None)

    def _stopped(self, guid: uuid.UUID) -> Running | None:
        running = self._pipelines.get(guid)
        if running is not None and running.started:
            running.stop.set()
            running.ended.wait()
        return running

    def _end(self) -> None:
        for guid, running in list(self._pipelines.items()):
            if running.started and not running.ended.is_set():
                threading.Event().wait()
            self.pool.pipeline_table.pop(guid, None)
        self.send(self.pool.close)
        if "CloseAck" not in self.silent:
            self.wire.mark("CloseAck", ZERO)
        else:
            threading.Event().wait()
