"""``pytest-hyperv gc``: remove what dead runs left behind."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_hyperv.backends.registry import forget_unfinished, reclaim
from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.states.record import sweep
from pytest_hyperv.visitors import visitors


@click.command()
@cache_option
@click.option("--kept", is_flag=True, help="Remove machines that were kept now, whatever their time.")
@click.pass_context
def command(ctx: click.Context, cache: Path, kept: bool) -> None:
    """Remove machines whose run died, with their processes, disks and sockets, and states that were half built.

    Machines that were kept go when their time is over. What a living run holds, and what somebody is in, is never
    touched.
    """

    def chosen(record: Record) -> bool:
        return kept and bool(record.kept) and not visitors(record.folder)

    ledger = Ledger(cache / "machines", reclaim)
    removed = ledger.reap(also=chosen)
    for record in removed:
        click.echo(f"removed {record.name} ({record.purpose})")
    swept = sweep(cache / "states", lambda folder: forget_unfinished(cache, folder))
    for folder in swept.removed:
        click.echo(f"removed a state that was half built ({folder.name})")
    for record in ledger.records() if kept else ():
        if record.kept and (inside := visitors(record.folder)):
            click.echo(f"{record.name} stays: process {', '.join(map(str, inside))} is in it", err=True)
    for failure in ledger.failures + swept.failures:
        click.echo(f"still there: {failure}", err=True)
    if ledger.failures or swept.failures:
        ctx.exit(1)
    if not removed:
        click.echo("No machine was left behind.")
