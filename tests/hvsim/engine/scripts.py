"""Scripts: the fixed ones of the package are played by handlers, plain command lines are run, all others refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from tests.hvsim.engine import command_line, errors, param_block
from tests.hvsim.engine.evaluation import Evaluation
from tests.hvsim.engine.invocation import Handler, ScriptInvocation
from tests.hvsim.engine.pipeline import Engine, Objects
from tests.hvsim.engine.stage_streams import Sink, StageStreams
from tests.hvsim.engine.statements import Stage
from tests.hvsim.engine.syntax import Unreadable
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.faults import ProcessDies
from tests.psrp.peer.records import ShellError


@cache
def handlers() -> Mapping[str, Handler]:
    """Who plays which script, by its text with plain line ends and nothing around it."""
    from tests.hvsim.guest.scripts import GUEST_SCRIPTS

    return {plain(text): handler for text, handler in GUEST_SCRIPTS.items()}


def plain(text: str) -> str:
    """A script's text as it is compared."""
    return text.lstrip("\ufeff").replace("\r\n", "\n").strip()


def run_script(engine: Engine, stage: Stage, sink: Sink, upstream: Objects | None) -> Objects:
    """What a script writes. Raises ShellError for one that nobody knows."""
    handler = handlers().get(plain(stage.name))
    if handler is not None:
        return _fixed(engine, stage, sink, upstream, handler)
    return _lines(engine, stage, sink, upstream)


def _fixed(engine: Engine, stage: Stage, sink: Sink, upstream: Objects | None, handler: Handler) -> Iterator[object]:
    parameters, _ = param_block.split(stage.name)
    streams = StageStreams(sink, engine.process, errors.of_script, stage.merged)
    invocation = ScriptInvocation(
        host=engine.host,
        text=plain(stage.name),
        arguments=param_block.bind(parameters or [], stage.arguments),
        input=upstream or iter(()),
        process=engine.process,
        streams=streams.streams(),
        exit=sink.exit,
    )
    try:
        for value in handler(invocation):
            yield from streams.merged()
            yield value
    except HostFailure as failure:
        raise errors.of_script(failure) from failure
    except (ShellError, ProcessDies):
        raise
    except Exception as failure:
        raise errors.defect(failure, "a script of the package") from failure
    yield from streams.merged()


def _lines(engine: Engine, stage: Stage, sink: Sink, upstream: Objects | None) -> Iterator[object]:
    parameters, body = param_block.split(plain(stage.name))
    try:
        lines = command_line.parse(body)
    except Unreadable as failure:
        raise errors.unknown_script(stage.name, str(failure)) from failure
    variables = {} if parameters is None else param_block.bind(parameters, stage.arguments)
    own = {name.casefold(): value for name, value in variables.items()}
    if parameters is None:
        own["args"] = [value for _, value in stage.arguments]
    yield from Evaluation(engine, sink, own, upstream, local=stage.local_scope).run(lines)
