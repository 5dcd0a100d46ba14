"""What a machine writes on its first serial port: read by a process on the host, kept in the machine's own folder."""

from __future__ import annotations

import threading
from pathlib import Path

from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import HypervError
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.psrp.client import Session

CONNECT = 30.0
"""Seconds until the pipe of a machine that was just started is there."""
LIFETIME = 24 * 3600.0
LIMIT = 16 * 1024 * 1024
"""Bytes kept of one machine's console."""


class Console:
    """Follows a named pipe of the host from each start of the machine until its end, once it is ``wanted``.

    Each reader is a process on the host, and Windows guests write nothing there unless told to: then the first look
    begins the reading. A reader that is left behind keeps a machine from being deleted (LISA): `close` comes first.
    """

    def __init__(self, host: HypervHost, pipe: str, log: Path, *, wanted: bool = False) -> None:
        self._host, self._pipe, self._log, self._wanted = host, pipe, log, wanted
        self._process: Session | None = None
        self._reader: threading.Thread | None = None
        self._connected = threading.Event()

    def follow(self) -> None:
        """Read from now until the machine stops, in the background."""
        self.close()
        self._connected.clear()
        if self._wanted:
            self._process = self._host.open_process()
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()

    def text(self) -> str:
        """All that was read so far; asked for the first time, reading begins, and nothing is lost from then on."""
        if not self._wanted:
            self._wanted = True
            self.follow()
            self._connected.wait(CONNECT)
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def close(self) -> None:
        """Stop reading; idempotent."""
        process, self._process = self._process, None
        reader, self._reader = self._reader, None
        if process is not None:
            process.close()
        if reader is not None:
            reader.join(CONNECT)

    def _read(self, process: Session) -> None:
        script = Script(text("console"), PipeName=self._pipe, TimeoutMilliseconds=int(CONNECT * 1000))
        try:
            with self._log.open("ab") as log, process.start(script.in_local_scope(), timeout=LIFETIME) as running:
                for item in running.items():
                    self._connected.set()
                    if item.stream == "output" and isinstance(item.value, bytes) and log.tell() < LIMIT:
                        log.write(item.value)
                        log.flush()
        except HypervError as error:
            if self._process is process:
                with self._log.open("ab") as log:
                    log.write(f"\n[the console could not be read any more: {error.message}]\n".encode())
        finally:
            self._connected.set()
