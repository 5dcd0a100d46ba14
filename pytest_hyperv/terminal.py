"""Progress of long work while pytest runs: past its capturing, and only where somebody wants to see it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from pytest_hyperv.progress import Bar, Lines, Progress, Silent, Task
from pytest_hyperv.stash import WATCHED_KEY


def progress_of(config: pytest.Config) -> Progress:
    """A bar on a terminal, lines in a log or from an xdist worker; nothing with ``-q`` or ``-p no:terminal``."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    watched = reporter is not None if worker is None else worker.get(WATCHED_KEY, True)
    if config.get_verbosity() < 0 or not watched:
        return Silent()
    if worker is not None:
        return Uncaptured(config, Lines(_write_line))
    # standard error is no witness: pytest captures it by now
    return Uncaptured(config, Bar() if reporter.isatty else Lines(reporter.write_line))


class Uncaptured:
    """Another form of progress, shown although pytest captures output."""

    def __init__(self, config: pytest.Config, form: Progress) -> None:
        self._config, self._form = config, form

    @contextmanager
    def task(self, title: str, steps: int) -> Iterator[Task]:
        """Show the task where pytest's own output goes."""
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        with self._capture_off():
            if reporter is not None:
                reporter.ensure_newline()
            with self._form.task(title, steps) as task:
                yield task

    def _capture_off(self) -> AbstractContextManager[None]:
        capture = self._config.pluginmanager.getplugin("capturemanager")
        off: AbstractContextManager[None] = capture.global_and_fixture_disabled() if capture else nullcontext()
        return off


def _write_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
