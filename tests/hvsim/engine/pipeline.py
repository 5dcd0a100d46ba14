"""Runs statements: every stage is found and checked before the first one starts, then objects flow one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.hvsim.binder import NOTHING, BindingError, Bound, Call
from tests.hvsim.engine import confirmation, errors
from tests.hvsim.engine.commands import Commands, Resolved
from tests.hvsim.engine.emission import Emissions
from tests.hvsim.engine.general import modules
from tests.hvsim.engine.invocation import Invocation, ProcessState
from tests.hvsim.engine.stage_streams import Sink, StageStreams
from tests.hvsim.engine.statements import Stage, Statement
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.faults import ProcessDies
from tests.hvsim.host.world import SimHost
from tests.psrp.peer.records import ShellError

Objects = Iterator[object]
Prepared = Callable[[Objects | None], Objects]
"""A stage that is ready: takes what is piped in (None: nothing can come), gives what it writes."""

ScriptRunner = Callable[["Engine", Stage, Sink, "Objects | None"], Objects]


@dataclass
class Engine:
    """What runs statements in one process of the host."""

    host: SimHost
    commands: Commands
    process: ProcessState
    emissions: Emissions
    run_script: ScriptRunner

    def run(self, statements: list[Statement], sink: Sink, streamed: Objects | None) -> None:
        """Run the statements one after the other; `streamed` goes into the first one.

        Raises ShellError when one ends the pipeline: those after it do not run.
        """
        for statement in statements:
            for value in self.objects(statement, sink, streamed):
                sink.output(value)
            streamed = None

    def objects(self, statement: Statement, sink: Sink, streamed: Objects | None) -> Objects:
        """What one statement writes, as it comes. A command whose input ends before it began runs once without any."""
        if streamed is not None and not statement.stages[0].is_script:
            streamed = _begun(streamed)
        ready = [
            self._prepare(stage, sink, piped=streamed is not None or at > 0)
            for at, stage in enumerate(statement.stages)
        ]
        flow = streamed
        for run in ready:
            flow = run(flow)
        yield from flow or ()

    def _prepare(self, stage: Stage, sink: Sink, *, piped: bool) -> Prepared:
        if stage.is_script:
            return lambda upstream: self.run_script(self, stage, sink, upstream)
        found = self.commands.find(stage.name)
        command = found.contract
        streams = StageStreams(sink, self.process, lambda failure: errors.of_host(failure, command), stage.merged)
        streams.values = _preferences(stage)
        try:
            call = Call(command, stage.arguments, expects_input=piped and found.streaming is None)
        except BindingError as failure:
            raise errors.of_binding(failure, command) from failure
        if found.per_object is None and found.streaming is None:
            raise errors.not_simulated(command)
        running = _Running(self, stage, found, streams, call)
        return running.flow

    def load(self, module: str, sleep: Callable[[float], None]) -> None:
        """Load a module at its first use."""
        if module:
            modules.load(self.host, self.process, module, sleep)


def _begun(streamed: Objects) -> Objects | None:
    for first in streamed:
        return itertools.chain((first,), streamed)
    return None


def _preferences(stage: Stage) -> dict[str, object]:
    """What the stage's arguments say about its streams, for errors that come before it is bound."""
    names = {"erroraction": "ErrorAction", "ea": "ErrorAction", "warningaction": "WarningAction"}
    return {names[name.casefold()]: value for name, value in stage.arguments if name and name.casefold() in names}


@dataclass
class _Running:
    """One command stage while it runs."""

    engine: Engine
    stage: Stage
    found: Resolved
    streams: StageStreams
    call: Call

    def flow(self, upstream: Objects | None) -> Objects:
        """What the stage writes, given what is piped in."""
        self.engine.load(self.found.contract.module, self.streams.streams().sleep)
        if self.found.streaming is not None:
            yield from self._guarded(lambda invocation: self._streaming(invocation, upstream), self.call.bound, NOTHING)
        elif upstream is None:
            yield from self._guarded(self._per_object(), self.call.bound, NOTHING)
        else:
            for piped in upstream:
                self.streams.streams().check()
                yield from self._piped(piped)

    def _piped(self, piped: object) -> Objects:
        try:
            bound = self.call.take(piped)
        except BindingError as failure:
            self.streams.error(errors.of_binding(failure, self.found.contract))
        else:
            yield from self._guarded(self._per_object(), bound, piped)
        yield from self.streams.merged()

    def _per_object(self) -> Callable[[Invocation], Objects]:
        run = self.found.per_object
        if run is None:
            raise errors.not_simulated(self.found.contract)
        return lambda invocation: iter(run(invocation))

    def _streaming(self, invocation: Invocation, upstream: Objects | None) -> Objects:
        run = self.found.streaming
        if run is None:
            raise errors.not_simulated(self.found.contract)
        if "InputObject" in invocation.bound.values and upstream is None:
            upstream = iter((invocation.bound.values["InputObject"],))
        return iter(run(invocation, upstream or iter(())))

    def _guarded(self, run: Callable[[Invocation], Objects], bound: Bound, piped: object) -> Objects:
        """What the command writes; a failure of the host becomes an error, another one a defect."""
        command = self.found.contract
        self.streams.values = bound.values
        self.engine.emissions.note(command, self.stage.arguments, bound, piped)
        if not confirmation.settle(command, bound):
            return
        invocation = Invocation(self.engine.host, command, bound, self.engine.process, self.streams.streams(), piped)
        try:
            for value in run(invocation):
                yield from self.streams.merged()
                yield value
        except HostFailure as failure:
            self.streams.error(errors.of_host(failure, command))
        except (ShellError, ProcessDies):
            raise
        except Exception as failure:
            raise errors.defect(failure, command.name) from failure
        yield from self.streams.merged()
