"""powershell.exe as a program of the guest: ``-Command TEXT`` and ``-File PATH ARGUMENTS``, output as text."""

from __future__ import annotations

from tests.hvsim.guest.command_line import split_arguments
from tests.hvsim.guest.evaluation import Evaluation
from tests.hvsim.guest.events import STDERR, STDOUT, Running, Start, text
from tests.hvsim.guest.files import GuestFileError, absolute
from tests.hvsim.guest.identity import variable
from tests.hvsim.guest.language import read
from tests.hvsim.guest.operators import text as shown
from tests.hvsim.guest.reader import ScriptError
from tests.hvsim.guest.remote_values import ErrorRecord
from tests.hvsim.guest.session import GuestSession
from tests.hvsim.guest.shell_state import ExitScript, GuestShell, Terminating

SWITCHES = ("-noprofile", "-noninteractive", "-nologo", "-sta", "-mta")
NO_FILE = -196608
"""The exit code for a -File that is not there, 0xFFFD0000."""


def powershell(start: Start) -> Running:
    """A PowerShell of its own, which ends with its script; a wait in it is one of the session that started it."""
    source, arguments = _asked(split_arguments(start.arguments))
    script = source
    if arguments is not None:
        try:
            with start.system.open() as guest:
                script = guest.files.read(absolute(source, start.folder)).decode("utf-8-sig", "replace")
        except GuestFileError:
            yield from text(STDERR, f"The argument '{source}' to the -File parameter does not exist.")
            return NO_FILE
    session = GuestSession(
        start.system.machine, start.system.life, "", variable(start.environment, "USERNAME") or "", pid=4
    )  # fmt: skip
    session.variables |= {"env:": dict(start.environment), "pwd": start.folder}
    shell = GuestShell(start.system, session)
    code = 0
    try:
        for value in Evaluation(shell).script(read(script), arguments or [], {}):
            yield from _records(shell)
            yield from text(STDOUT, shown(value))
        code = 1 if shell.records and isinstance(shell.records[-1], ErrorRecord) else shell.exit_code or 0
    except ExitScript as end:
        code = end.code
    except Terminating as ended:
        shell.records.append(ended.record)
        code = 1
    except ScriptError as unread:
        shell.records.append(ErrorRecord(unread.message, unread.error_id))
        code = 1
    yield from _records(shell)
    return code


def _asked(words: list[str]) -> tuple[str, list[str] | None]:
    """The text of -Command and None, or the path of -File and the arguments for it."""
    rest = list(words)
    while rest:
        option = rest[0].casefold()
        if option in SWITCHES:
            rest = rest[1:]
        elif option in ("-executionpolicy", "-ep", "-ex", "-version", "-windowstyle"):
            rest = rest[2:]
        elif option in ("-file", "-f"):
            return rest[1], rest[2:]
        else:
            return " ".join(rest[1:] if option in ("-command", "-c") else rest), None
    return "", None


def _records(shell: GuestShell) -> Running:
    while shell.records:
        record = shell.records.popleft()
        yield from text(STDERR if isinstance(record, ErrorRecord) else STDOUT, shown(record.message))
    return 0
