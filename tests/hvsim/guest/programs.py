"""The programs of a simulated guest, and `launch`, which starts one.

Windows' own, as far as tests need them: cmd, hostname, whoami, systeminfo, ping, findstr (``findstr "^"`` copies its
input, bytes unchanged), sort, more, fc, certutil, where, tar, sc, net, netsh, reg, tasklist, taskkill, shutdown,
eventcreate, powershell, and timeout, which refuses to run without a console as the real one does. In C:\\Tools, which
is in PATH, lie three that Windows has not: ``cat`` (standard input or files, byte for byte), ``args`` (each argument
and a ``|``) and ``bugcheck [CODE]``, which crashes the guest.
"""

from __future__ import annotations

import ntpath
from contextlib import suppress
from dataclasses import replace

from tests.hvsim.guest import archive, console_programs, event_scripts, system_programs
from tests.hvsim.guest.command_shell import batch_program, shell_program
from tests.hvsim.guest.events import STDERR, Program, Running, Start, Wait, text
from tests.hvsim.guest.files import GuestFileError, program_paths
from tests.hvsim.guest.launching import BATCH, NO_APPLICATION, NotStarted, find
from tests.hvsim.guest.processes import add_process, end_processes, runs
from tests.hvsim.guest.shell_commands import BUILT_IN
from tests.hvsim.guest.system import GuestGone

KILLED = 1
"""The exit code that taskkill leaves."""


def launch(start: Start) -> Running:
    """Start a program by name or path; it does nothing until it is iterated. Raises NotStarted."""
    path = find(start)
    start = replace(start, name=path)
    stem, ending = ntpath.splitext(ntpath.basename(path).casefold())
    if ending in BATCH:
        return _noted(start, _batch(start))
    if stem not in PROGRAMS or path.casefold() not in (known.casefold() for known in program_paths()):
        raise NotStarted(NO_APPLICATION)
    return _noted(start, PROGRAMS[stem](start))


def _noted(start: Start, running: Running) -> Running:
    """The program, listed as running once it takes time, and ended when another program ends it."""
    pid = 0
    if start.apart:
        return (yield from running)
    try:
        while True:
            event = next(running)
            if isinstance(event, Wait) and not pid:
                with start.system.open() as guest:
                    pid = add_process(guest, start.name)
            yield event
            if isinstance(event, Wait) and not runs(start.system, pid):
                running.close()
                return KILLED
    except StopIteration as end:
        return int(end.value or 0)
    except GuestFileError as error:
        yield from text(STDERR, f"{error.path}: {error.text}")
        return 1
    finally:
        if pid:
            with suppress(GuestGone), start.system.open() as guest:
                end_processes(guest, pid=pid)


PROGRAMS: dict[str, Program] = {
    **console_programs.PROGRAMS,
    **system_programs.PROGRAMS,
    "eventcreate": event_scripts.eventcreate,
    "tar": archive.tar,
    "cmd": shell_program(BUILT_IN, launch),
}
_batch = batch_program(BUILT_IN, launch)
