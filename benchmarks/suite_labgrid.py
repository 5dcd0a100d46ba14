"""labgrid's road to a clean machine: a fresh overlay and its QEMUDriver's power cycle, a real boot, per test.

labgrid is installed into an environment of its own, which goes with the benchmark; its driver runs in there.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pytest_hyperv.backends.qemu.firmware import choose
from pytest_hyperv.backends.qemu.guest_agent import GuestAgent
from pytest_hyperv.errors import GuestError
from pytest_hyperv.spec import MIB, Image

REQUIREMENT = "labgrid==26.*"
INSTALL = 600.0
BOOT = 600.0
PING = 5.0
POLL = 0.01
CONFIG = """
targets:
  main:
    drivers:
      QEMUDriver:
        qemu_bin: qemu
        machine: q35
        cpu: {cpu}
        memory: {memory}M
        disk: disk
        disk_opts: cache=unsafe,discard=unmap
        display: none
        nic: none
        extra_args: "{extra}"
tools:
  qemu: {emulator}
images:
  disk: {folder}/disk.qcow2
"""
DRIVER = """
import sys
from labgrid import Environment

driver = Environment(sys.argv[1]).get_target("main").get_driver("QEMUDriver")
for line in sys.stdin:
    getattr(driver, line.strip())()
    print("done", flush=True)
"""


class LabgridFailed(Exception):
    """labgrid could not be installed, or its driver ended."""


class LabgridGuest:
    """A guest in the hands of labgrid's driver; ``cycle`` as often as one likes."""

    def __init__(self, image: Image, memory: int, accelerator: str, emulator: str) -> None:
        """Install labgrid. Raises LabgridFailed; nothing is left then."""
        self._image, self._folder = image, Path(tempfile.mkdtemp(prefix="suite-labgrid-"))
        self._driver: subprocess.Popen[str] | None = None
        try:
            python = self._installed()
            self._write_config(memory, accelerator, emulator)
            (self._folder / "driver.py").write_text(DRIVER, "utf-8")
            self._driver = subprocess.Popen(
                [python, self._folder / "driver.py", self._folder / "config.yaml"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=self._folder,
                env=os.environ | {"TMPDIR": str(self._folder)},
                start_new_session=True,
            )
        except BaseException:
            self.close()
            raise

    def _installed(self) -> Path:
        environment = self._folder / "environment"
        python = environment / "bin" / "python"
        try:
            subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=INSTALL)
            pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", REQUIREMENT]
            subprocess.run(pip, check=True, capture_output=True, text=True, timeout=INSTALL)
        except subprocess.CalledProcessError as error:
            last = (error.stderr or "").strip().splitlines()[-1:]
            raise LabgridFailed(f"pip could not install {REQUIREMENT}: {' '.join(last)}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LabgridFailed(f"{REQUIREMENT} could not be installed: {error}") from error
        return python

    def _write_config(self, memory: int, accelerator: str, emulator: str) -> None:
        firmware = choose("off")
        shutil.copyfile(firmware.variables, self._folder / "vars.fd")
        extra = [
            f"-accel {accelerator} -nodefaults -device VGA,vgamem_mb=8 -device virtio-rng-pci",
            f"-drive if=pflash,unit=0,format=raw,readonly=on,file={firmware.code}",
            f"-drive if=pflash,unit=1,format=raw,file={self._folder}/vars.fd",
            f"-device virtio-serial-pci -chardev socket,id=agent,path={self._folder}/agent,server=on,wait=off",
            "-device virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
        ]
        config = CONFIG.format(
            cpu="host" if accelerator == "kvm" else "max,la57=off,svm=off",
            memory=memory // MIB,
            extra=" ".join(extra),
            emulator=emulator,
            folder=self._folder,
        )
        (self._folder / "config.yaml").write_text(config, "utf-8")

    def cycle(self) -> None:
        """A clean machine in place of the one before: ends when its agent has answered."""
        self._tell("off")
        disk = self._folder / "disk.qcow2"
        disk.unlink(missing_ok=True)
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self._image.disk), "-F", "qcow2", str(disk)]
        subprocess.run(create, check=True)
        self._tell("on")
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self._folder / "agent"))
        agent, deadline = GuestAgent(sock), time.monotonic() + BOOT
        try:
            while True:
                try:
                    agent.ping(PING)
                    return
                except GuestError as error:
                    if time.monotonic() > deadline:
                        raise LabgridFailed(f"the agent did not answer in {BOOT:.0f} s: {error}") from error
                time.sleep(POLL)
        finally:
            agent.close()

    def _tell(self, word: str) -> None:
        driver = self._driver
        assert driver is not None
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(f"{word}\n")
        driver.stdin.flush()
        if driver.stdout.readline().strip() != "done":
            raise LabgridFailed(f"labgrid's driver ended at `{word}`")

    def close(self) -> None:
        """End the machine and the driver, and remove everything."""
        if self._driver is not None:
            try:
                self._tell("off")
                self._driver.communicate(timeout=30)
            except (OSError, LabgridFailed, subprocess.TimeoutExpired):
                self._driver.kill()
                self._driver.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
