"""``pytest-hyperv exec``: one command in a machine."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.guest_streams import run_on_streams
from pytest_hyperv.cli.machine_argument import Visit, machine_argument
from pytest_hyperv.errors import HypervError

FAILED = 255
"""Exit status when the command did not run, as ssh has it: every other one is the program's own."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@cache_option
@click.option("--cwd", metavar="PATH", help="Folder of the guest to run it in.")
@machine_argument
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- ARGV...")
@click.pass_context
def command(ctx: click.Context, cache: Path, cwd: str | None, name: str, argv: tuple[str, ...]) -> None:
    """Run a program in VM, without a shell; its standard streams are this command's, and so is its exit status.

    Bytes pass as they are, as ssh has it: what a guest writes to a terminal can steer that terminal. Status 255: it
    could not be run.
    """
    try:
        with Visit(cache, name).entered() as machine:
            status = run_on_streams(machine.session, argv[1:] if argv[0] == "--" else argv, cwd=cwd)
    except HypervError as error:
        click.echo(f"Error: {error}", err=True)
        status = FAILED
    ctx.exit(status)
