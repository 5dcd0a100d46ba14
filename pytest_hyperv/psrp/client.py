"""A PowerShell session over any pipe: open or adopt it, run calls in it, close it.

with Session.open(pipe) as session:
    state = session.call(Command("Get-VM", Id=identity) | Select("State")).one.State
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import psrpcore
from psrpcore import types as ps

from pytest_hyperv.errors import SessionLost
from pytest_hyperv.psrp.calls import Call, Runnable
from pytest_hyperv.psrp.connection import Connection, Deadline, DeadlinePassed, Route, Undecodable
from pytest_hyperv.psrp.creation import values_of
from pytest_hyperv.psrp.framing import SESSION, Control, Mark
from pytest_hyperv.psrp.pipeline import RunningCall
from pytest_hyperv.psrp.pipes import Pipe
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.psrp.values import holds_secret

OPEN_TIMEOUT = 60.0
CALL_TIMEOUT = 60.0
CLOSE_TIMEOUT = 10.0


class Session:
    """An open runspace pool, made by `open` or `adopt`.

    Calls may run from several threads at once; more than ``max_runspaces`` of them wait in turn. ``host`` names the
    machine in errors. With ``ahead`` the next pipeline is announced beside the one that is sent and the finished one
    is closed with it, so that a call is one piece out and one answer in: for pipes where every piece is a request
    (WinRS).
    """

    def __init__(self, connection: Connection, *, host: str, ahead: bool) -> None:
        self.host = host
        self._connection = connection
        self._ahead = ahead
        self._spare: Route | None = None
        self._debts: tuple[Control, ...] = ()
        self._state = threading.Lock()
        self._key = threading.Lock()
        self._has_key = False
        self._closed = False

    @classmethod
    def open(
        cls,
        pipe: Pipe,
        *,
        timeout: float = OPEN_TIMEOUT,
        max_runspaces: int = 1,
        host: str = "local",
        ahead: bool = False,
    ) -> Session:
        """Open a new runspace pool within ``timeout`` seconds.

        Owns the pipe from here on, also when it raises SessionLost.
        """
        pool = psrpcore.ClientRunspacePool(host=ps.HostInfo(), min_runspaces=1, max_runspaces=max_runspaces)
        session = cls(Connection(pipe, pool), host=host, ahead=ahead)
        try:
            session._open(Deadline(timeout))
        except BaseException:
            session._connection.close(CLOSE_TIMEOUT)
            raise
        return session

    @classmethod
    def adopt(cls, pipe: Pipe, identity: uuid.UUID, *, host: str = "local", ahead: bool = False) -> Session:
        """Take over the session that is already open at the other end of ``pipe``, known by its GUID.

        Nothing is said to it. It must not have had a pipeline running when it was left. Its message counters
        begin anew and its session key is exchanged again when it is needed; the server accepts both.
        """
        pool = psrpcore.ClientRunspacePool(host=ps.HostInfo(), runspace_pool_id=identity)
        pool.state = ps.RunspacePoolState.Opened
        pool.their_capability = pool.our_capability
        return cls(Connection(pipe, pool), host=host, ahead=ahead)

    @property
    def id(self) -> uuid.UUID:
        """The GUID of the runspace pool: what `adopt` needs."""
        return uuid.UUID(str(self._connection.pool.runspace_pool_id))

    @property
    def lost(self) -> SessionLost | None:
        """Why the session has ended; None while it lives."""
        return self._connection.lost

    def start(
        self, what: Runnable, *, timeout: float = CALL_TIMEOUT, input: Iterable[Any] | None = None
    ) -> RunningCall:
        """Begin a call and return while it runs. ``input`` is streamed as the result is read.

        Raises UnsendableValue before anything is sent, CommandTimeout, SessionLost.
        """
        call = what if isinstance(what, Call) else Call(what)
        deadline = Deadline(timeout)
        self._connection.check()
        if any(holds_secret(value) for _, value in call.parameters):
            self.exchange_key(deadline.left)
        values = values_of(call)
        route = self._free_route()
        running = RunningCall(self._connection, route, call, input, deadline)
        try:
            self._announced(route, deadline)
        except DeadlinePassed:
            raise running.timed_out() from None
        if self._ahead:
            self._begin_ahead(running, values)
        else:
            running.begin(values)
        return running

    def run(
        self, what: Runnable, *, timeout: float = CALL_TIMEOUT, input: Iterable[Any] | None = None
    ) -> PowerShellResult:
        """Run a call to its end within ``timeout`` seconds. Errors of the call are in the result.

        Raises UnsendableValue, CommandTimeout (the pipeline is stopped, the session stays usable), SessionLost.
        """
        with self.start(what, timeout=timeout, input=input) as running:
            return running.result()

    def call(
        self, what: Runnable, *, timeout: float = CALL_TIMEOUT, input: Iterable[Any] | None = None
    ) -> PowerShellResult:
        """Like `run`, but the first error of the call is raised as CmdletError, which names the command that failed."""
        result = self.run(what, timeout=timeout, input=input)
        if result.errors:
            error = result.errors[-1 if result.failure else 0]
            one_of_several = " " in result.title
            raise error.cmdlet_error(error.activity if one_of_several and error.activity else result.title, self.host)
        return result

    def verify(self, timeout: float) -> None:
        """Ask for a sign of life: how many runspaces are free (MS-PSRP 2.2.2.11). Raises SessionLost."""
        connection, deadline = self._connection, Deadline(timeout)
        try:
            groups = connection.prepare(lambda pool: pool.get_available_runspaces())
            connection.send_groups(connection.session, groups, deadline)
            self._await_event(psrpcore.GetRunspaceAvailabilityEvent, deadline)
        except DeadlinePassed:
            connection.kill(SessionLost(f"{connection.pipe.name} did not answer in {timeout:g} s"))
            raise connection.error() from None

    def exchange_key(self, timeout: float = CALL_TIMEOUT) -> None:
        """Agree on the session key (MS-PSRP 2.2.2.3).

        Done by itself before a secret is sent; to be called before one comes back. Raises SessionLost.
        """
        deadline = Deadline(timeout)
        with self._key:
            if self._has_key:
                return
            try:
                groups = self._connection.prepare(lambda pool: pool.exchange_key())
                self._connection.send_groups(self._connection.session, groups, deadline)
                self._await_event(psrpcore.EncryptedSessionKeyEvent, deadline)
            except DeadlinePassed:
                reason = SessionLost(f"{self._connection.pipe.name} gave no session key in {timeout:g} s")
                self._connection.kill(reason)
                raise self._connection.error() from None
            self._has_key = True

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Stop what runs, close the session and the pipe, in ``timeout`` seconds and little more.

        Idempotent. Never raises SessionLost: what went wrong is in `lost`.
        """
        with self._state:
            if self._closed:
                return
            self._closed = True
        deadline = Deadline(timeout)
        try:
            if self._connection.lost is None:
                self._close_gently(deadline)
        except (SessionLost, DeadlinePassed) as error:
            self._connection.lose(SessionLost(f"the session with {self._connection.pipe.name} was ended ({error})"))
        finally:
            self._connection.close(CLOSE_TIMEOUT)

    def drop(self, reason: SessionLost) -> None:
        """End the session at once, without a word to the other end, which is known to be gone. From any thread."""
        self._connection.kill(reason)

    def settle(self, timeout: float = CLOSE_TIMEOUT) -> bool:
        """Wait until every pipeline has ended and is closed, so that nothing travels any more; False when not so.

        For sessions whose calls are not announced ahead.
        """
        deadline = Deadline(timeout)
        return all(route.closed.wait(deadline.left) for route in self._connection.routes) and self.lost is None

    def leave(self, timeout: float = CLOSE_TIMEOUT) -> uuid.UUID:
        """Let go of the session without closing it, so that `adopt` can take it over: its GUID.

        Nothing may be running: a pipeline that is, is stopped. Our end of the pipe is closed. Raises SessionLost.
        """
        with self._state:
            self._closed = True
        try:
            self._close_pipelines(Deadline(timeout))
        except DeadlinePassed:
            raise SessionLost(f"{self._connection.pipe.name} did not end its pipelines in {timeout:g} s") from None
        finally:
            self._connection.close(CLOSE_TIMEOUT)
        return self.id

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, deadline: Deadline) -> None:
        connection = self._connection
        try:
            groups = connection.prepare(lambda pool: pool.open())
        except psrpcore.InvalidRunspacePoolState as error:
            connection.lose(SessionLost(f"{connection.pipe.name} spoke of a session before one was asked for: {error}"))
            raise connection.error() from error
        try:
            connection.send_groups(connection.session, groups, deadline)
            while self._await_event(psrpcore.RunspacePoolStateEvent, deadline).state.name != "Opened":
                continue
        except DeadlinePassed:
            reason = SessionLost(f"{connection.pipe.name} did not open a session in {deadline.seconds:g} s")
            connection.lose(reason)
            raise connection.error() from None

    def _await_event(self, kind: Any, deadline: Deadline) -> Any:
        while True:
            mail = self._connection.next_mail(self._connection.session, deadline)
            if isinstance(mail, kind):
                return mail
            if isinstance(mail, Undecodable):
                self._connection.kill(
                    SessionLost(f"{self._connection.pipe.name} said what cannot be read: {mail.reason}")
                )
                raise self._connection.error()

    def _free_route(self) -> Route:
        with self._state:
            route, self._spare = self._spare, None
        return route or self._connection.add_route(uuid.uuid4())

    def _announced(self, route: Route, deadline: Deadline) -> None:
        """Announce the pipeline, unless that was done ahead, and wait for its acknowledgement."""
        if not route.announced:
            route.announced = True
            self._connection.send(Control(Mark.COMMAND, route.guid), deadline=deadline)
        while True:
            mail = self._connection.next_mail(route, deadline)
            if isinstance(mail, Control) and mail.mark is Mark.COMMAND_ACK:
                return

    def _begin_ahead(self, running: RunningCall, values: list[Any]) -> None:
        """Send the pipeline with the Close of those that have ended and the Command of the next one."""
        spare = self._connection.add_route(uuid.uuid4())
        spare.announced = True
        with self._state:
            debts, self._debts = self._debts, ()
        running.begin(values, beside=(*debts, Control(Mark.COMMAND, spare.guid)), after=self._owe)
        with self._state:
            if self._spare is None:
                self._spare = spare
                return
        self._owe(spare)

    def _owe(self, route: Route) -> None:
        with self._state:
            self._debts += (Control(Mark.CLOSE, route.guid),)

    def _close_gently(self, deadline: Deadline) -> None:
        """Pipelines first: a session that is closed while one runs is never acknowledged."""
        self._close_pipelines(deadline)
        connection = self._connection
        connection.send(Control(Mark.CLOSE, SESSION), deadline=deadline)
        if not connection.session.closed.wait(deadline.left):
            raise DeadlinePassed

    def _close_pipelines(self, deadline: Deadline) -> None:
        connection = self._connection
        routes = connection.routes
        packets = [Control(Mark.CLOSE, route.guid) for route in routes]
        if packets:
            connection.send(*packets, deadline=deadline)
        for route in routes:
            if not route.closed.wait(deadline.left):
                raise DeadlinePassed
