"""What a cmdlet and a script of the simulated host are given when they run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.hvsim.binder import Bound
from tests.hvsim.contract import CommandContract
from tests.hvsim.values import NOTHING

if TYPE_CHECKING:
    from tests.hvsim.host.failures import HostFailure
    from tests.hvsim.host.world import SimHost


@dataclass
class ProcessState:
    """What one PowerShell process holds: global variables (by casefolded name), modules, its session into a guest.

    `guest_session` belongs to the guest's scripts. `at_end` is called, last first, when the process ends in an orderly
    way or its input breaks off.
    """

    variables: dict[str, object] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    guest_session: Any = None
    at_end: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class Streams:
    """The streams and the clock of the pipeline that something runs in.

    `error` writes a non-terminating error, and ends the pipeline under ErrorAction Stop. `sleep` takes REAL seconds and
    raises what ends the pipeline when that is stopped; `check` raises the same at once, `stop` is set then.
    """

    warn: Callable[[str], None]
    error: Callable[[HostFailure], None]
    verbose: Callable[[str], None]
    sleep: Callable[[float], None]
    check: Callable[[], None]
    stop: threading.Event


@dataclass
class Invocation:
    """One command for one piped object (or none), already bound."""

    host: SimHost
    command: CommandContract
    bound: Bound
    process: ProcessState
    streams: Streams
    piped: object = NOTHING

    @property
    def warn(self) -> Callable[[str], None]:
        """Write to the warning stream."""
        return self.streams.warn

    @property
    def error(self) -> Callable[[HostFailure], None]:
        """Write a non-terminating error; raising HostFailure is the same for this object."""
        return self.streams.error

    @property
    def sleep(self) -> Callable[[float], None]:
        """Wait for REAL seconds; a stopped pipeline ends here."""
        return self.streams.sleep

    def value(self, parameter: str, default: Any = None) -> Any:
        """The bound value of a parameter by its own name, or `default`."""
        return self.bound.values.get(parameter, default)


@dataclass
class ScriptInvocation:
    """One fixed script: `arguments` are bound to its param block, by the names written there.

    Every parameter is there, an absent one with the default of its type. `input` gives the objects piped or streamed in
    as they come.
    """

    host: SimHost
    text: str
    arguments: dict[str, Any]
    input: Iterator[object]
    process: ProcessState
    streams: Streams
    exit: Callable[[int], None]

    @property
    def error(self) -> Callable[[HostFailure], None]:
        """Write a non-terminating error; raising HostFailure ends the pipeline with it."""
        return self.streams.error

    @property
    def stop(self) -> threading.Event:
        """Set when the pipeline is told to stop."""
        return self.streams.stop


Cmdlet = Callable[[Invocation], Iterable[object]]
"""Runs once per piped object; gives the objects it writes."""

StreamCmdlet = Callable[[Invocation, Iterator[object]], Iterable[object]]
"""Runs once for all that is piped in."""

Handler = Callable[[ScriptInvocation], Iterable[object]]
"""Plays one fixed script."""
