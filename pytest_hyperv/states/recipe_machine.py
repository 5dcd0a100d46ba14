"""The machine that a recipe gets: one as tests hold it, that remembers what was last done to it."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.errors import HypervError
from pytest_hyperv.guest import CommandResult, Output
from pytest_hyperv.machine import COPY, VirtualMachine
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.spec import Image

REMEMBERED = 30
"""How many of the last commands are remembered."""
SCRIPT = 500
"""How many characters of a command line are."""


class RecipeMachine(VirtualMachine):
    """``told`` holds the last commands with how they ended; relative paths of the host are below ``root``."""

    def __init__(self, machine: Machine, image: Image, backend: str, *, timeout: float, root: Path) -> None:
        super().__init__(machine, image, backend, timeout=timeout)
        self._root = root
        self.told: deque[str] = deque(maxlen=REMEMBERED)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        on_output: Output | None = None,
    ) -> CommandResult:
        """As of VirtualMachine, and remembered."""
        try:
            result = super().run(argv, input=input, cwd=cwd, env=env, timeout=timeout, on_output=on_output)
        except HypervError as error:
            self._remember(shlex.join(argv), f"{type(error).__name__}: {error}")
            raise
        self._remember(shlex.join(argv), result.explain())
        return result

    def ps(self, script: str, *args: Any, timeout: float | None = None, **params: Any) -> PowerShellResult:
        """As of VirtualMachine, and remembered."""
        result = super().ps(script, *args, timeout=timeout, **params)
        self._remember(f"PowerShell: {script}", "\n".join(map(str, result.errors)) or "no errors")
        return result

    def copy_in(self, source: str | Path, target: str, *, timeout: float = COPY) -> None:
        """As of VirtualMachine, with relative paths below pytest's rootdir, where inputs are looked for too."""
        self._remember(f"copy_in {source} to {target}", "")
        super().copy_in(self._root / source, target, timeout=timeout)

    def copy_out(self, source: str, target: str | Path, *, timeout: float = COPY) -> Path:
        """As of VirtualMachine, with relative paths below pytest's rootdir."""
        self._remember(f"copy_out {source} to {target}", "")
        return super().copy_out(source, self._root / target, timeout=timeout)

    def _remember(self, command: str, outcome: str) -> None:
        cut = command if len(command) <= SCRIPT else f"{command[:SCRIPT]} ..."
        self.told.append(f"$ {cut}\n{outcome}".rstrip())
