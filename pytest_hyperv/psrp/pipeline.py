"""One call while it runs: its input going out, its streams coming in, its end, its stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import psrpcore
from psrpcore import types as ps

from pytest_hyperv.errors import CommandFailed, CommandTimeout, SessionLost
from pytest_hyperv.psrp.calls import Call
from pytest_hyperv.psrp.connection import Bytes, Connection, Deadline, DeadlinePassed, Groups, Route, Undecodable
from pytest_hyperv.psrp.creation import (
    add_commands,
    creation_message,
    end_of_input_message,
    input_message,
    new_pipeline,
    shape_of,
)
from pytest_hyperv.psrp.framing import Control, Mark, Stream
from pytest_hyperv.psrp.records import error_from_wire, information_from_wire, progress_from_wire
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.psrp.values import UnsendableValue, from_wire, holds_secret, to_wire

PIECE = 1024 * 1024
"""Bytes of one object when a large byte input is streamed."""

STOP_GRACE = 5.0
"""Seconds a stopped pipeline has to end before its session is killed."""

_LAST_MOMENT = 0.2
_END_STATES = {ps.PSInvocationState.Completed, ps.PSInvocationState.Failed, ps.PSInvocationState.Stopped}
_PROMPT_REFUSED = "there is nobody to answer: a command asked for input, and these sessions have no user"


@dataclass(frozen=True, slots=True)
class Item:
    """One record as it came. ``stream`` is output, error, warning, verbose, debug, information or progress."""

    stream: str
    value: Any


def pieces(source: Iterable[Any]) -> Iterator[Any]:
    """The objects to stream: bytes, alone or among others, in pieces of at most `PIECE`."""
    entries = (source,) if isinstance(source, (bytes, bytearray, memoryview, str)) else source
    for entry in entries:
        if isinstance(entry, (bytes, bytearray, memoryview)):
            view = memoryview(entry).cast("B")
            for at in range(0, max(1, len(view)), PIECE):
                yield bytes(view[at : at + PIECE])
        else:
            yield entry


class RunningCall:
    """A call that has been handed to the server. Not thread-safe: one thread reads it; `stop` may come from any.

    Iterate `items` to get records as they come, or ask for the `result`. Left early, as a context manager, it is
    stopped.
    """

    def __init__(
        self, connection: Connection, route: Route, call: Call, source: Iterable[Any] | None, deadline: Deadline
    ) -> None:
        self.title = call.title
        self._connection = connection
        self._route = route
        self._call = call
        self._source = source
        self._deadline = deadline
        self._began = time.monotonic()
        self._streams: dict[str, list[Any]] = {}
        self._exit_code: int | None = None
        self._failure: Any = None
        self._state: ps.PSInvocationState | None = None
        self._waiting: list[Item] = []
        self._after: Callable[[Route], None] = self._close

    def begin(
        self, values: list[Any], *, beside: tuple[Control, ...] = (), after: Callable[[Route], None] | None = None
    ) -> None:
        """Send the pipeline, with the values of its call, to its announced GUID.

        ``after`` is told when it has ended, in place of a Close being sent.
        """
        self._after = after or self._close
        groups = self._creation(values)
        with self._deadline_kept():
            self._connection.send_groups(self._route, groups, self._deadline, beside=beside)

    def _creation(self, values: list[Any]) -> Groups:
        shape, no_input = shape_of(self._call), self._source is None
        secret = any(holds_secret(value) for _, value in self._call.parameters)

        def register(pool: psrpcore.ClientRunspacePool) -> None:
            pipeline = new_pipeline(pool, self._route.guid, no_input=no_input)
            if secret:
                add_commands(pipeline, shape, iter(values))
                pipeline.start()
            pipeline.state = ps.PSInvocationState.Running

        groups = self._connection.prepare(register)
        if secret:
            return groups
        pool = self._connection.pool.runspace_pool_id
        message = creation_message(shape, values, pool=pool, pipeline=self._route.guid, no_input=no_input)
        return [(Stream.DEFAULT, self._connection.payloads([message]))]

    def items(self) -> Iterator[Item]:
        """The records as they come, while the input goes out. Raises CommandTimeout at the deadline, SessionLost."""
        yield from self._feed()
        while self._state is None or self._waiting:
            with self._deadline_kept():
                self._receive()
            yield from self._taken()

    def result(self) -> PowerShellResult:
        """Wait for the end. Output that `items` already gave is not in it. Raises CommandTimeout, SessionLost."""
        output = [item.value for item in self.items() if item.stream == "output"]
        failure = None if self._failure is None else error_from_wire(self._failure)
        stopped = self._state is ps.PSInvocationState.Stopped
        errors = self._streams.get("error", [])
        if failure is not None and not stopped:
            errors.append(failure)
        return PowerShellResult(
            output=output,
            errors=errors,
            warnings=self._streams.get("warning", []),
            verbose=self._streams.get("verbose", []),
            debug=self._streams.get("debug", []),
            information=self._streams.get("information", []),
            exit_code=self._exit_code if self._exit_code is not None else int(self._state is not _COMPLETED),
            failure=failure,
            stopped=stopped,
            duration=time.monotonic() - self._began,
            title=self.title,
        )

    def stop(self, timeout: float = STOP_GRACE) -> None:
        """Stop the pipeline; the session stays usable.

        Raises SessionLost, having killed the session, when it does not stop in ``timeout`` seconds.
        A pipeline stops when its current .NET call returns and its ``finally`` blocks have run.
        """
        try:
            self._stop(Deadline(timeout))
        except DeadlinePassed:
            reason = SessionLost(f"{self.title} did not stop in {timeout:g} s; its session was ended")
            self._connection.kill(reason)
            raise reason from None

    def _stop(self, deadline: Deadline) -> None:
        if self._state is not None or self._route.closed.is_set():
            return
        self._connection.send(Control(Mark.SIGNAL, self._route.guid), deadline=deadline)
        if not self._route.signalled.wait(deadline.left):
            raise DeadlinePassed
        self._connection.check()

    def __enter__(self) -> RunningCall:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state is None and not isinstance(error, (CommandTimeout, SessionLost)):
            self._abandon()

    def _abandon(self) -> None:
        """Stop in the background; when that fails the session is killed."""
        if self._connection.lost is None and not self._route.closed.is_set():

            def work() -> None:
                self._stop(Deadline(STOP_GRACE))
                self._close(self._route)

            self._connection.chore(work, f"stop of {self.title}")

    def _feed(self) -> Iterator[Item]:
        if self._source is None:
            return
        source, self._source = self._source, None
        for piece in pieces(source):
            value = to_wire(piece)
            if not self._put(self._input_groups(value, secret=holds_secret(piece))):
                return
            yield from self._taken()
        pool = self._connection.pool.runspace_pool_id
        end = end_of_input_message(pool=pool, pipeline=self._route.guid)
        self._put([(Stream.DEFAULT, self._connection.payloads([end]))])

    def _input_groups(self, value: Any, *, secret: bool) -> Groups:
        if secret:
            kind, guid = ps.PSRPMessageType.PipelineInput, self._route.guid
            try:
                return self._connection.prepare(lambda pool: pool.prepare_message(value, kind, guid))
            except psrpcore.MissingCipherError:
                reason = "a secret among the input needs the session key"
                raise UnsendableValue(reason, hint="Call exchange_key() of the session before.") from None
        pool = self._connection.pool.runspace_pool_id
        message = input_message(value, pool=pool, pipeline=self._route.guid)
        return [(Stream.DEFAULT, self._connection.payloads([message]))]

    def _put(self, groups: Groups) -> bool:
        """Send more of the running pipeline; False when it ended before all was sent."""
        with self._deadline_kept():
            if self._over():
                return False
            return self._connection.send_groups(self._route, groups, self._deadline, unless=self._over)

    def _over(self) -> bool:
        """Read what has arrived already; true when the pipeline has ended."""
        while self._state is None and not self._route.mail.empty():
            self._receive()
        return self._state is not None

    def _taken(self) -> Iterator[Item]:
        while self._waiting:
            yield self._waiting.pop(0)

    def _receive(self) -> None:
        if self._state is not None:
            return
        mail = self._connection.next_mail(self._route, self._deadline)
        if isinstance(mail, Undecodable):
            self._abandon()
            raise CommandFailed(f"{self.title} answered with something that cannot be read: {mail.reason}")
        if isinstance(mail, psrpcore.PipelineStateEvent):
            self._end(mail)
        elif isinstance(mail, psrpcore.PipelineHostCallEvent):
            self._host_call(mail)
        elif isinstance(mail, Control):
            if mail.mark is Mark.CLOSE_ACK:
                self._state = ps.PSInvocationState.Stopped
        else:
            self._record(mail)

    def _record(self, event: Any) -> None:
        for kind, stream, convert in RECORDS:
            if isinstance(event, kind):
                item = Item(stream, self._converted(convert, event))
                self._waiting.append(item)
                if stream not in ("output", "progress"):
                    self._streams.setdefault(stream, []).append(item.value)
                return

    def _converted(self, convert: Callable[[Any], Any], event: Any) -> Any:
        try:
            return convert(event)
        except Exception as error:  # whatever is wrong with a value, the call ends in one kind of error
            self._abandon()
            no_key = isinstance(error, psrpcore.MissingCipherError)
            hint = "Call exchange_key() of the session before a SecureString is to come back." if no_key else ""
            raise CommandFailed(f"{self.title} gave a value that cannot be read: {error}", hint=hint) from error

    def _end(self, event: psrpcore.PipelineStateEvent) -> None:
        if event.state in _END_STATES:
            self._state = event.state
            self._failure = event.reason
            self._after(self._route)

    def _close(self, route: Route) -> None:
        """Close the ended pipeline. If the session is lost by now, what this call brought is complete all the same."""
        if route.closed.is_set():
            return
        try:
            left = max(self._deadline.left, _LAST_MOMENT)
            with contextlib.suppress(SessionLost):
                self._connection.send(Control(Mark.CLOSE, route.guid), deadline=Deadline(left))
        except DeadlinePassed:
            self._connection.kill(SessionLost(f"{self._connection.pipe.name} takes nothing any more"))

    def _host_call(self, event: psrpcore.PipelineHostCallEvent) -> None:
        if event.method_identifier is ps.HostMethodIdentifier.SetShouldExit:
            self._exit_code = int(event.method_parameters[0])
        elif not event.method_identifier.is_void():
            refusal = ps.ErrorRecord(
                Exception=ps.NETException(Message=_PROMPT_REFUSED),
                CategoryInfo=ps.ErrorCategoryInfo(Category=ps.ErrorCategory.InvalidOperation, Reason="HostException"),
                FullyQualifiedErrorId="HostFunctionNotImplemented",
            )
            groups = self._connection.prepare(lambda pool: pool.host_response(event.ci, error_record=refusal))
            self._connection.send_groups(self._route, groups, self._deadline)

    def _deadline_kept(self) -> _DeadlineKept:
        return _DeadlineKept(self)

    def timed_out(self) -> CommandTimeout:
        """The error of a call whose deadline has passed; the pipeline is being stopped."""
        self._abandon()
        seen = ", ".join(f"{len(values)} on {stream}" for stream, values in self._streams.items()) or "nothing"
        said = self._connection.pipe.diagnosis()
        return CommandTimeout(
            f"{self.title} did not end in {self._deadline.seconds:g} s; besides output it had written: {seen}"
            + (f"\nThe other end said:\n{said}" if said else ""),
            hint="Give it a longer timeout, or find out what it waits for.",
            timeout=self._deadline.seconds,
        )


@dataclass(frozen=True, slots=True)
class _DeadlineKept:
    """Turns a passed deadline into the call's CommandTimeout."""

    call: RunningCall

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DeadlinePassed):
            raise self.call.timed_out() from None


_COMPLETED = ps.PSInvocationState.Completed
RECORDS: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    (Bytes, "output", lambda event: event.value),
    (psrpcore.PipelineOutputEvent, "output", lambda event: from_wire(event.data)),
    (psrpcore.ErrorRecordEvent, "error", lambda event: error_from_wire(event.record)),
    (psrpcore.WarningRecordEvent, "warning", lambda event: str(event.record.Message)),
    (psrpcore.VerboseRecordEvent, "verbose", lambda event: str(event.record.Message)),
    (psrpcore.DebugRecordEvent, "debug", lambda event: str(event.record.Message)),
    (psrpcore.InformationRecordEvent, "information", lambda event: information_from_wire(event.record)),
    (psrpcore.ProgressRecordEvent, "progress", lambda event: progress_from_wire(event.record)),
)
