"""``pytest-hyperv report``: pages of runs, which hold their data, taken together or drawn anew."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_hyperv.errors import HypervError
from pytest_hyperv.report_page.rendering import data_of, render, write


@click.command()
@click.argument("pages", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--json", "as_json", is_flag=True, help="Print the data of the runs instead of writing a page.")
def command(pages: tuple[Path, ...], output: Path | None, as_json: bool) -> None:
    """Put the pages that `pytest --hyperv-report` wrote on one page, each run with its own timeline.

    What is in the pages is taken along; links to larger files of evidence lead where they led from the old place.
    """
    if (output is None) != as_json:
        raise click.UsageError("name the file to write with -o FILE, or ask for --json.")
    runs = [run for page in pages for run in data_of(page)]
    if output is None:
        click.echo(json.dumps(runs))
        return
    try:
        write(output, render(runs))
    except OSError as error:
        raise HypervError(
            f"{output} cannot be written: {error.strerror or error}", hint="name another file with -o."
        ) from error
    click.echo(f"{output}: {sum(len(run['tests']) for run in runs)} tests of {len(runs)} runs")
