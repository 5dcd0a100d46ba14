"""Programs that play the other end: started with a plan on stdin, ended by its end."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PROJECT = Path(__file__).parents[2]


class Double:
    """A running program, spoken to by lines of JSON."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._stdin, self._stdout = stdin, stdout

    def tell(self, what: dict[str, Any]) -> dict[str, Any]:
        """Send one line and return the line that answers it."""
        self._stdin.write(json.dumps(what).encode() + b"\n")
        self._stdin.flush()
        answer: dict[str, Any] = json.loads(self._stdout.readline())
        return answer


@contextlib.contextmanager
def started(module: str, plan: DataclassInstance) -> Iterator[tuple[Double, dict[str, Any]]]:
    """Run ``module`` with ``plan``, which is not on its command line; yields it and its first word."""
    program = subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    )
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        double = Double(program.stdin, program.stdout)
        yield double, double.tell(dataclasses.asdict(plan))
    finally:
        program.stdin.close()
        program.wait(10)
        program.stdout.close()
