"""run-script.ps1 and invoke-calls.ps1 played: what runs in the guest, its streams merged, and the trailer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.hvsim.engine import param_block
from tests.hvsim.engine.invocation import ScriptInvocation
from tests.hvsim.engine.statements import Arguments
from tests.hvsim.guest.answers import answer_for
from tests.hvsim.guest.calling import Caller
from tests.hvsim.guest.evaluation import Evaluation
from tests.hvsim.guest.language import read
from tests.hvsim.guest.operators import text
from tests.hvsim.guest.reader import ScriptError
from tests.hvsim.guest.remote_values import ErrorRecord, remote, trailer
from tests.hvsim.guest.session import in_session
from tests.hvsim.guest.shell_state import ExitScript, GuestShell, Terminating
from tests.hvsim.guest.syntax_tree import Argument, CommandCall, Literal, Pipeline
from tests.psrp.peer.records import ShellError


def run_script(invocation: ScriptInvocation) -> Iterator[object]:
    """run-script.ps1: Script, Arguments by position, Parameters by name."""
    given = invocation.arguments
    positional = list(given["Arguments"] or [])
    named = {str(name): value for name, value in (given["Parameters"] or {}).items()}
    return _with_trailer(invocation, lambda shell: run_text(shell, given["Script"], positional, named))


def run_calls(invocation: ScriptInvocation) -> Iterator[object]:
    """invoke-calls.ps1: statements of stages, each with Name, Arguments and Parameters."""
    statements = [_pipeline(stages) for stages in invocation.arguments["Statements"] or []]
    return _with_trailer(invocation, lambda shell: _statements(shell, statements))


def _statements(shell: GuestShell, statements: list[Pipeline]) -> Iterator[object]:
    """One statement after the other, until one is ended by an error."""
    caller = Caller(Evaluation(shell))
    for statement in statements:
        yield from caller.pipeline(statement)


def _pipeline(stages: list[dict[str, Any]]) -> Pipeline:
    calls = [
        CommandCall(
            Literal(stage["Name"]),
            (
                *(Argument(Literal(value), raw=text(value)) for value in stage["Arguments"] or []),
                *(Argument(Literal(value), name, f"-{name}") for name, value in (stage["Parameters"] or {}).items()),
            ),
        )
        for stage in stages
    ]
    return Pipeline(tuple(calls))


def run_text(shell: GuestShell, source: str, positional: list[Any], named: dict[str, Any]) -> Iterator[object]:
    """What a script writes. Raises Terminating and ExitScript."""
    answer = answer_for(source)
    if answer is not None:
        parameters, _ = param_block.split(source)
        arguments: Arguments = (*((None, value) for value in positional), *named.items())
        try:
            values = param_block.bind(parameters or [], arguments)
        except ShellError as refused:
            raise Terminating(ErrorRecord(refused.message, refused.error_id, refused.category)) from refused
        yield from answer(shell, values)
        return
    try:
        block = read(source)
    except ScriptError as refused:
        raise Terminating(
            ErrorRecord(refused.message, refused.error_id, "ParserError", "System.Management.Automation.ParseException")
        ) from refused
    yield from Evaluation(shell).script(block, positional, named)


def _with_trailer(invocation: ScriptInvocation, work: Callable[[GuestShell], Iterator[object]]) -> Iterator[object]:
    with in_session(invocation) as opened:
        if opened is None:
            return
        session, system = opened
        shell = GuestShell(system, session)
        failure: ErrorRecord | None = None
        try:
            for value in work(shell):
                yield from _records(shell)
                yield remote(value, session)
        except ExitScript as end:
            shell.exit_code = end.code
        except Terminating as ended:
            failure = ended.record
        yield from _records(shell)
        yield remote(trailer(shell.exit_code, "Completed", failure), session)


def _records(shell: GuestShell) -> Iterator[object]:
    while shell.records:
        yield remote(shell.records.popleft(), shell.session)
