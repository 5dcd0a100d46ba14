"""``pytest-hyperv screenshot``: what is on a machine's screen."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.machine_argument import Visit, machine_argument


@click.command()
@cache_option
@machine_argument
@click.option("-o", "--output", type=click.File("wb"), help="File to write, - for standard output.  [default: VM.png]")
def command(cache: Path, name: str, output: BinaryIO | None) -> None:
    """Save the screen of VM as a PNG file, paused or not."""
    visit = Visit(cache, name)
    with visit.seen() as machine:
        picture = machine.screenshot()
    if output is not None:
        output.write(picture)
        return
    path = Path(f"{visit.record.name}.png")
    path.write_bytes(picture)
    click.echo(str(path))
