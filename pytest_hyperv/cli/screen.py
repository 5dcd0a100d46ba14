"""How a command tells its progress: a bar on a terminal, plain lines otherwise. Always on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from pytest_hyperv.progress import Lines, Progress, Task


def progress_here() -> Progress:
    """The form of progress that suits standard error."""
    if sys.stderr.isatty():
        return Bar()
    return Lines(lambda line: click.echo(line, err=True))


class Bar:
    """Progress as a bar with the time that has passed, drawn by rich."""

    @contextmanager
    def task(self, title: str, steps: int) -> Iterator[Task]:
        """Draw the bar until the work ends; then one line that says how long it took stays."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as drawn:
            number = drawn.add_task(title, total=steps)

            class Step:
                at = -1

                def step(self, text: str) -> None:
                    self.at += 1
                    drawn.update(number, completed=self.at, description=f"{title}: {text}")

            yield Step()
            drawn.update(number, completed=steps, description=title)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines of text with aligned columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
