"""run-script.ps1 and invoke-calls.ps1 played: what runs in the guest, its streams merged, and the trailer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.hvsim.engine import param_block
from tests.hvsim.engine.invocation import ScriptInvocation
from tests.hvsim.engine.statements import Arguments
from tests.hvsim.guest.answers import answer_for
from tests.hvsim.guest.remote_values import ErrorRecord, remote, trailer
from tests.hvsim.guest.session import in_session
from tests.hvsim.guest.shell_state import ExitScript, GuestShell, Terminating
from tests.psrp.peer.records import ShellError


def run_script(invocation: ScriptInvocation) -> Iterator[object]:
    """run-script.ps1: Script, Arguments by position, Parameters by name."""
    given = invocation.values
    positional = list(given["Arguments"] or [])
    named = {str(name): value for name, value in (given["Parameters"] or {}).items()}
    return _with_trailer(invocation, lambda shell: run_text(shell, given["Script"], positional, named))


def run_text(shell: GuestShell, text: str, positional: list[Any], named: dict[str, Any]) -> Iterator[object]:
    """What a script writes. Raises Terminating and ExitScript."""
    answer = answer_for(text)
    if answer is None:
        raise Terminating(ErrorRecord(f"The simulated guest does not know the script {text!r}", "ParserError"))
    parameters, _ = param_block.split(text)
    arguments: Arguments = (*((None, value) for value in positional), *named.items())
    try:
        values = param_block.bind(parameters or [], arguments)
    except ShellError as refused:
        raise Terminating(ErrorRecord(refused.message, refused.error_id, refused.category)) from refused
    yield from answer(shell, values)


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
