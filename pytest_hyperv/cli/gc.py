"""``pytest-hyperv gc``: remove what dead runs left behind."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_hyperv.backends.registry import forget_unfinished, lost_machines, reclaim
from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.ledger import Ledger, Record
from pytest_hyperv.states.record import sweep
from pytest_hyperv.visitors import visitors


@click.command()
@cache_option
@click.option("--kept", is_flag=True, help="Remove machines that were kept now, whatever their time.")
@click.option(
    "--host", metavar="ADDRESS", help="Look on this Hyper-V host for machines of runs of other computers too."
)
@click.option("--lost", is_flag=True, help="Remove what --host finds, also what another computer's run kept there.")
@click.pass_context
def command(ctx: click.Context, cache: Path, kept: bool, host: str | None, lost: bool) -> None:
    """Remove machines whose run died, with their processes, disks and sockets, and states that were half built.

    Machines that were kept go when their time is over. What a living run holds, and what somebody is in, is never
    touched.
    """
    if lost and host is None:
        raise click.UsageError("--lost needs --host ADDRESS: the host to look on.")

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
    if host is not None:
        _look_on(host, cache, remove=lost)


def _look_on(host: str, cache: Path, *, remove: bool) -> None:
    found = lost_machines(cache, host, remove=remove)
    for words in found:
        click.echo(f"removed {words}" if remove else f"lost on {host}: {words}")
    if found and not remove:
        click.echo(
            "No run that lives, and no record here, is responsible for them: gc --host ADDRESS --lost removes them."
        )
