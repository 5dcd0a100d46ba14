"""What a command shows: progress on standard error, a bar on a terminal and plain lines otherwise; and tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from pytest_hyperv.progress import Bar, Lines, Progress


def progress_here() -> Progress:
    """The form of progress that suits standard error."""
    if sys.stderr.isatty():
        return Bar()
    return Lines(lambda line: click.echo(line, err=True))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines of text with aligned columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
