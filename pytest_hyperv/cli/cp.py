"""``pytest-hyperv cp``: files and folders between this computer and a machine."""

from __future__ import annotations

import re
from pathlib import Path

import click

from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.machine_argument import Visit
from pytest_hyperv.copying import copy_in, copy_out

INSIDE = re.compile(r"([^:/\\]{2,}):(.+)", re.DOTALL)
"""VM:PATH. A single letter before the colon is a drive of Windows."""


@click.command()
@cache_option
@click.argument("source")
@click.argument("target")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=3600.0, show_default=True, help="Seconds."
)
def command(cache: Path, source: str, target: str, timeout: float) -> None:
    """Copy a file or folder into a machine, or out of one: SOURCE VM:TARGET, or VM:SOURCE TARGET.

    As cp -r does: into the target when that is a folder there or ends in a slash, to that name otherwise. A local file
    whose name has a colon is written ./NAME.
    """
    inward, outward = INSIDE.fullmatch(target), INSIDE.fullmatch(source)
    if (inward is None) == (outward is None):
        raise click.UsageError("One of SOURCE and TARGET, and not both, is in a machine: VM:PATH.")
    if inward is not None:
        with Visit(cache, inward[1]).entered() as machine:
            copy_in(machine.session, Path(source), inward[2], timeout)
    elif outward is not None:
        with Visit(cache, outward[1]).entered() as machine:
            copied = copy_out(machine.session, outward[2], Path(target), timeout)
        click.echo(str(copied), err=True)
