"""How long work tells a person how far it is: a bar on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of long work that is under way."""

    def step(self, text: str) -> None:
        """Say that the next of the announced steps begins."""
        ...


class Progress(Protocol):
    """Where long work is announced."""

    def task(self, title: str, steps: int) -> AbstractContextManager[Task]:
        """Announce work of ``steps`` steps; leaving the context ends it, by an exception too."""
        ...


class Lines:
    """Progress as plain lines, each with the step number and the seconds since the task began."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    @contextmanager
    def task(self, title: str, steps: int) -> Iterator[Task]:
        """Announce, count the steps, and say how long all of it took; a failure is said by whoever catches it."""
        counted = _CountedLines(self._write, title, steps)
        self._write(f"{title} ...")
        yield counted
        self._write(f"{title}: done in {time.monotonic() - counted.began:.1f} s")


class _CountedLines:
    def __init__(self, write: Callable[[str], None], title: str, steps: int) -> None:
        self.began = time.monotonic()
        self._write, self._title, self._steps, self._at = write, title, steps, 0

    def step(self, text: str) -> None:
        self._at += 1
        self._write(f"{self._title}: [{self._at}/{self._steps}] {text} ({time.monotonic() - self.began:.0f} s)")


class Bar:
    """Progress as a bar with the time that has passed, drawn by rich on standard error."""

    @contextmanager
    def task(self, title: str, steps: int) -> Iterator[Task]:
        """Draw the bar until the work ends; then one line that says how long it took stays."""
        from rich import progress as rich_progress
        from rich.console import Console

        columns = (
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.TimeElapsedColumn(),
        )
        with rich_progress.Progress(*columns, console=Console(stderr=True)) as drawn:
            number = drawn.add_task(title, total=steps)

            class Step:
                at = -1

                def step(self, text: str) -> None:
                    self.at += 1
                    drawn.update(number, completed=self.at, description=f"{title}: {text}")

            yield Step()
            drawn.update(number, completed=steps, description=title)


class Silent:
    """Progress that says nothing."""

    @contextmanager
    def task(self, title: str, steps: int) -> Iterator[Task]:  # noqa: ARG002
        """Take the announcement and drop it."""
        yield _SilentTask()


class _SilentTask:
    def step(self, text: str) -> None:
        """Drop the step."""
