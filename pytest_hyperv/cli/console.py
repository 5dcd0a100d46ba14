"""``pytest-hyperv console``: what a machine says on its serial console."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from pytest_hyperv.backends.base import MachineState
from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.machine_argument import Visit, machine_argument

LOOK = 0.3
"""Seconds between two looks."""


@click.command()
@cache_option
@machine_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what it says from now on, until Ctrl-C or its end.")
def command(cache: Path, name: str, follow: bool) -> None:
    """Show what VM said on its serial console, its last 4 MiB at most, paused or not.

    Terminal control sequences are taken out, so that a guest cannot steer this terminal.
    """
    with Visit(cache, name).seen() as machine:
        said = machine.console_text()
        click.echo(said, nl=False)
        while follow and machine.state in (MachineState.RUNNING, MachineState.PAUSED):
            threading.Event().wait(LOOK)
            now = machine.console_text()
            click.echo(_new(said, now), nl=False)
            said = now


def _new(before: str, now: str) -> str:
    """What was added; of a long text only the end is kept, so its beginning may be gone."""
    if now.startswith(before):
        return now[len(before) :]
    at = now.find(before[-4096:])
    return now[at + len(before[-4096:]) :] if at >= 0 else now
