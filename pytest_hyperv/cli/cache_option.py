"""The option every command shares: where images, states and machines are kept."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_hyperv.cache import NAME_ONE, VARIABLE, default_cache


def _named(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path:  # noqa: ARG001
    folder = value.absolute() if value else default_cache()
    if folder is None:
        raise click.UsageError(f"This user has no home folder to keep a cache in.\nHint: {NAME_ONE}")
    return folder


cache_option = click.option(
    "--cache",
    envvar=VARIABLE,
    type=click.Path(file_okay=False, path_type=Path),
    callback=_named,
    help=f"Folder of images, states and machines, also {VARIABLE}.  [default: the user's cache folder]",
)
"""``--cache DIR``; hands the command the folder, which need not exist."""
