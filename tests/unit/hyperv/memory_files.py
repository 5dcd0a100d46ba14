"""A line into a guest whose files are bytes in memory: it plays the file scripts, as they were seen to answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from pytest_hyperv.backends.hyperv.line import Run
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import CmdletError
from pytest_hyperv.psrp.calls import Runnable, Script
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.result import PowerShellResult

PIECE = 4
"""Bytes of one object of a file that is read."""


class MemoryLine:
    """Keeps ``files`` and parts of files. ``calls`` are the parameters of each call, ``sent`` the sizes of its input.

    ``before`` is run before each call with its parameters, to do what goes wrong.
    """

    def __init__(self, *, straight: bool = True, before: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.straight, self._before = straight, before
        words = ("put-file", "finish-file", "get-file") if straight else ("copy-in", "finish-copy", "copy-out")
        self.put_script, self.finish_script, self.get_script = words
        self.files: dict[str, bytes] = {}
        self.calls: list[dict[str, Any]] = []
        self.sent: list[list[int]] = []
        self.timeouts: list[float] = []
        self.ended = False

    def start(self, what: Runnable, *, timeout: float) -> Run:
        raise AssertionError(f"files need no {what} of {timeout} s")

    def close(self) -> None:
        self.ended = True

    def control(self, script: Script, *, timeout: float, input: Iterable[Any] | None = None) -> PowerShellResult:
        """Play the script."""
        values = {str(name): value for name, value in script.parameters}
        pieces = list(input or ())
        self.calls.append(values)
        self.sent.append([len(piece) for piece in pieces])
        self.timeouts.append(timeout)
        self._before(values)
        if script.text == text(self.put_script):
            return PowerShellResult(self._put(values["Path"], values["Offset"], pieces))
        if script.text == text(self.finish_script):
            self.files[values["Path"]] = self.files.pop(values["Path"] + ".part")
            return PowerShellResult([self._digest(values["Path"])])
        assert script.text == text(self.get_script)
        if values.get("Digest"):
            return PowerShellResult([self._digest(values["Path"])])
        return PowerShellResult(self._got(values["Path"], values["Offset"], values["Count"]))

    def _put(self, path: str, offset: int, pieces: list[bytes]) -> list[Any]:
        part = self.files.get(path + ".part", b"") if offset else b""
        if len(part) != offset:
            raise CmdletError(f"the file script failed: the part of {path} does not end at byte {offset}")
        self.files[path + ".part"] = part + b"".join(pieces)
        if not pieces and not self.straight:
            return []
        return [PSObject.of(Length=len(self.files[path + ".part"]))]

    def _got(self, path: str, offset: int, count: int) -> list[Any]:
        data = self._whole(path)
        wanted = data[offset : offset + count]
        pieces = [wanted[at : at + PIECE] for at in range(0, len(wanted), PIECE)]
        return [*pieces, PSObject.of(Length=len(data), Read=len(wanted))]

    def _digest(self, path: str) -> PSObject:
        data = self._whole(path)
        return PSObject.of(Length=len(data), Sha256=hashlib.sha256(data).hexdigest())

    def _whole(self, path: str) -> bytes:
        if path not in self.files:
            raise CmdletError(
                f"the file script failed: Could not find file '{path}'.", error_id="FileNotFoundException"
            )
        return self.files[path]
