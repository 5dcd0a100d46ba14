"""The same saved machine brought to life without the plugin: a clone with plain QEMU commands, and a snapshot."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pytest_hyperv.backends.qemu import bundle as bundles
from pytest_hyperv.backends.qemu.accelerator import probe
from pytest_hyperv.backends.qemu.blueprint import Blueprint
from pytest_hyperv.backends.qemu.command_line import Channels, Ram
from pytest_hyperv.backends.qemu.guest_server import GuestServer
from pytest_hyperv.backends.qemu.instance import CHANNELS

DEADLINE = 60.0


class Qmp:
    """The least of a QMP client: one command after the other, events dropped."""

    def __init__(self, path: Path) -> None:
        deadline = time.monotonic() + DEADLINE
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
        self._lines = self._socket.makefile("r")
        self._lines.readline()
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Send a command and return its answer."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self._lines.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])


class RawClone:
    """A clone with qemu-img, QEMU and QMP as one would type them; ``run`` ends when its processors run."""

    def __init__(self, cache: Path, state: Path) -> None:
        self._bundle = bundles.read(state)
        self._accelerator = probe(cache).accelerator
        self._folder = Path(tempfile.mkdtemp(prefix="by-hand-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def run(self) -> None:
        """Overlays, QEMU, the saved state, and go."""
        disk, variables = self._folder / "disk.qcow2", self._folder / "vars.fd"
        base = self._bundle.layers[-1]
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", base, "-F", "qcow2", disk, "4G"], check=True
        )
        shutil.copyfile(self._bundle.folder / "vars.fd", variables)
        self.qmp = self.start(disk)
        self.qmp("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        self.qmp("migrate-incoming", uri=f"exec:cat {self._bundle.devices}")
        while self.qmp("query-migrate").get("status") != "completed":
            time.sleep(0.001)
        self.qmp("cont")

    def start(self, disk: Path, variables_format: str = "raw") -> Qmp:
        """QEMU with sockets by name, its sandbox open enough for ``exec:``."""
        blueprint = Blueprint.of(self._bundle.spec, self._bundle.os_family, self._accelerator)
        argv = blueprint.command_line(
            name="by-hand",
            uuid="00000000-0000-4000-8000-000000000000",
            layers=[*self._bundle.layers, disk],
            ram=Ram(self._bundle.ram),
            channels=Channels(0, 0, 0, 0),
            incoming=True,
        )
        words = [word.replace("spawn=deny", "spawn=allow") for word in argv]
        for name in CHANNELS:
            words = [word.replace(f"id={name},fd=0", f"id={name},path={self._folder}/{name}") for word in words]
        words = [
            word.replace("unit=1,format=raw,file=vars.fd", f"unit=1,format={variables_format},file=vars.fd")
            for word in words
        ]
        self._process = subprocess.Popen(words, cwd=self._folder, stdin=subprocess.DEVNULL)
        return Qmp(self._folder / "monitor")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)
        shutil.rmtree(self._folder)


class LoadedSnapshot(RawClone):
    """One running QEMU with an internal snapshot; ``load`` goes back to it and waits for an answer."""

    def __enter__(self) -> Self:
        disk = self._folder / "disk.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "4G"], check=True)
        variables = self._folder / "vars.fd"
        convert = [
            "qemu-img",
            "convert",
            "-f",
            "raw",
            "-O",
            "qcow2",
            str(self._bundle.folder / "vars.fd"),
            str(variables),
        ]
        subprocess.run(convert, check=True)
        self.qmp = self.start(disk, variables_format="qcow2")
        self._session = self._bring_up()
        return self

    def _bring_up(self) -> GuestServer:
        """Load the saved state with the server's port connected, run, and save the snapshot."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self._folder / "server"))
        self.qmp("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        self.qmp("migrate-incoming", uri=f"exec:cat {self._bundle.devices}")
        while self.qmp("query-migrate").get("status") != "completed":
            time.sleep(0.001)
        self.qmp("cont")
        session = GuestServer.connect(sock, timeout=DEADLINE)
        self._hmp("savevm clean")
        return session

    def load(self) -> None:
        """Go back to the snapshot; ends when the guest answers."""
        self._hmp("loadvm clean")
        self.qmp("cont")
        self._session.ping(DEADLINE)

    def _hmp(self, line: str) -> None:
        complaint = self.qmp("human-monitor-command", **{"command-line": line})
        if complaint:
            raise RuntimeError(complaint)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
        super().__exit__(kind, error, trace)
