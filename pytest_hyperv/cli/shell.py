"""``pytest-hyperv shell``: a person in a machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.guest_streams import STDIN, run_on_streams
from pytest_hyperv.cli.line_shell import LineShell, PosixLines, PowerShellLines
from pytest_hyperv.cli.machine_argument import Visit, machine_argument
from pytest_hyperv.guest import GuestSession

TERMINAL = ["sh", "-c", "command -v script > /dev/null"]
"""Whether the guest can make a terminal: script(1) of util-linux, which every Debian has."""


@click.command()
@cache_option
@machine_argument
@click.pass_context
def command(ctx: click.Context, cache: Path, name: str) -> None:
    """Open a shell in VM: on a terminal of its own in a Linux guest, PowerShell in a Windows guest.

    A machine that a test left is paused: it is resumed, and paused again when you leave. Leave with exit or Ctrl-D; the
    exit status is the shell's. Where the guest can make no terminal, each line is run by itself: the folder stays,
    variables do not. Input that is no terminal is run as a script.
    """
    with Visit(cache, name).entered() as machine:
        status = _windows(machine) if machine.os_family == "windows" else _posix(machine)
    ctx.exit(status)


def _windows(machine: Machine) -> int:
    return LineShell(PowerShellLines(machine.powershell, machine.name)).run(sys.stdin)


def _posix(machine: Machine) -> int:
    session = machine.session
    if not os.isatty(STDIN):
        return run_on_streams(session, ["sh"])
    if sys.platform != "win32" and _can_make_terminal(session):
        from pytest_hyperv.cli.terminal_shell import TerminalShell

        return TerminalShell(session).run()
    return LineShell(PosixLines(session, machine.name)).run(sys.stdin)


def _can_make_terminal(session: GuestSession) -> bool:
    return session.streams_input and bool(session.run(TERMINAL))
