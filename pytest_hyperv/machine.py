"""The machine a test holds."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_hyperv import guest_events, guest_ports, waiting
from pytest_hyperv.backends.base import Checkpoint, GuestCrash, Machine, MachineState
from pytest_hyperv.checkpoint_tree import CheckpointTree
from pytest_hyperv.copying import copy_in, copy_out
from pytest_hyperv.errors import CapabilityMissing, MachineStateError
from pytest_hyperv.guest import CommandResult, GuestProcess, Output
from pytest_hyperv.guest_events import GuestEvent
from pytest_hyperv.keepable import Keepable
from pytest_hyperv.powershell import PowerShell
from pytest_hyperv.private_network import Membership, Outsider
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.recorded_process import RecordedProcess
from pytest_hyperv.spec import Image, MachineSpec
from pytest_hyperv.transcript import Transcript, command_line

BOOT = 600.0
SHUTDOWN = 120.0
COPY = 600.0


class VirtualMachine(Keepable):
    """A machine leased for a test: commands, files, power, checkpoints, and what can be seen of it from outside.

    Times are in seconds, paths in the guest are strings. Every wait has a deadline and ends at once when the guest
    dies, with GuestCrashed carrying what it left on its console.
    """

    def __init__(
        self,
        machine: Machine,
        image: Image,
        backend: str,
        *,
        timeout: float = 60.0,
        transcript: Transcript | None = None,
    ) -> None:
        """``timeout`` is what a command may take when the call says nothing, ``transcript`` what remembers it."""
        self._machine, self._image, self.timeout = machine, image, timeout
        self.backend = backend
        self._leased = time.time()
        self.transcript = transcript or Transcript(kept=False)
        self.membership: Membership = Outsider(machine)

    def __repr__(self) -> str:
        return f"<VirtualMachine {self.name} {self._image.name} {self.state}>"

    @property
    def name(self) -> str:
        """A short name, unique on the host."""
        return self._machine.name

    @property
    def id(self) -> str:
        """The machine's GUID."""
        return self._machine.id

    @property
    def spec(self) -> MachineSpec:
        """What the machine was made of."""
        return self._machine.spec

    @property
    def image(self) -> Image:
        """The golden image it comes from."""
        return self._image

    @property
    def state(self) -> MachineState:
        """Off, running, paused or crashed."""
        return self._machine.state

    @property
    def address(self) -> str:
        """The guest's network address, "" without a network."""
        return self.membership.address

    @property
    def inner(self) -> Machine:
        """The machine as its backend gives it, for this plugin's own use."""
        return self._machine

    @property
    def crash(self) -> GuestCrash | None:
        """How the guest died since it was last started or restored; None while it lives."""
        return self._machine.crash

    @property
    def crashed(self) -> bool:
        """Whether the guest died since it was last started or restored."""
        return self._machine.crash is not None

    # Commands

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
        """Run a program in the guest, without a shell, and wait for it.

        ``on_output`` gets 1 or 2 and the bytes of each stream as they come. Raises CommandTimeout after killing it,
        CommandFailed when it cannot be started, GuestCrashed when the guest dies meanwhile.
        """
        if isinstance(argv, str):
            raise TypeError("run() takes a list of arguments; use sh() for a line of shell")
        data = input.encode() if isinstance(input, str) else input
        with self.transcript.doing("run", command_line(argv, cwd, env, data), env) as entry:
            result = self._machine.session.run(
                argv,
                input=data,
                cwd=cwd,
                env=env,
                timeout=timeout or self.timeout,
                on_output=self.transcript.listening(entry, on_output),
            )
            entry.end = f"returned {result.returncode}"
        return result

    def sh(
        self,
        script: str,
        *,
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> CommandResult:
        """Run a script with the guest's own shell: ``sh -c``, or ``cmd /c`` on Windows. Errors as of run()."""
        shell = ["sh", "-c", script] if self._image.os_family == "linux" else ["cmd.exe", "/d", "/s", "/c", script]
        return self.run(shell, input=input, cwd=cwd, env=env, timeout=timeout)

    def spawn(
        self, argv: Sequence[str], *, cwd: str | None = None, env: Mapping[str, str] | None = None
    ) -> GuestProcess:
        """Start a program and go on; the result has its streams, wait() and kill()."""
        entry = self.transcript.open("spawn", command_line(argv, cwd, env), env)
        with self.transcript.noting_crash():
            process = self._machine.session.spawn(argv, cwd=cwd, env=env)
        return RecordedProcess(process, self.transcript, entry)

    def ps(self, script: str, *args: Any, timeout: float | None = None, **params: Any) -> PowerShellResult:
        """Run a PowerShell script in the guest; arguments travel as values, never as text.

        Errors of the script are in the result. Raises CapabilityMissing when the guest has no PowerShell,
        CommandTimeout after stopping the script, SessionLost, GuestCrashed.
        """
        return self.powershell.ps(script, *args, timeout=timeout, **params)

    @property
    def powershell(self) -> PowerShell:
        """The PowerShell session of this machine, as the ``psdirect`` fixture gives it."""
        self.require_powershell()
        return PowerShell(self._machine, self.timeout, self.transcript)

    def require_powershell(self) -> None:
        """Raise CapabilityMissing when the guest has no PowerShell."""
        if not self._image.powershell:
            raise CapabilityMissing(
                f"the image {self._image.name} has no PowerShell",
                hint="use an image that has it, or vm.run() and vm.sh().",
                missing={"powershell": f"the image {self._image.name} has none"},
            )

    # Files

    def copy_in(self, source: str | Path, target: str, *, timeout: float = COPY) -> None:
        """Copy a file or folder of the host into the guest, byte for byte, with its permissions.

        As ``cp -r`` does: into ``target`` when that is a folder of the guest or ends in a slash, to that name
        otherwise. Raises CopyError.
        """
        with self.transcript.doing("copy in", f"{source} -> {target}"):
            copy_in(self._machine.session, Path(source), target, timeout)

    def copy_out(self, source: str, target: str | Path, *, timeout: float = COPY) -> Path:
        """Copy a file or folder of the guest to the host, by the same rules; returns where it is now. Raises CopyError.

        Nothing is ever written outside ``target``, whatever the guest sends.
        """
        with self.transcript.doing("copy out", f"{source} -> {target}"):
            return copy_out(self._machine.session, source, Path(target), timeout)

    def read_bytes(self, path: str, *, timeout: float | None = None) -> bytes:
        """A guest file's content. Raises CopyError."""
        with self.transcript.doing("read", path):
            return b"".join(self._machine.session.read_file(path, timeout=timeout or self.timeout))

    def read_text(self, path: str, *, encoding: str = "utf-8", timeout: float | None = None) -> str:
        """A guest file's content as text. Raises CopyError and UnicodeDecodeError."""
        return self.read_bytes(path, timeout=timeout).decode(encoding)

    def write_bytes(self, path: str, data: bytes, *, mode: int = 0o644, timeout: float | None = None) -> None:
        """Put a file into the guest, whole or not at all, folders above it included. Raises CopyError."""
        with self.transcript.doing("write", f"{path} ({len(data)} bytes)"):
            self._machine.session.write_file(path, [data], mode=mode, timeout=timeout or self.timeout)

    def write_text(
        self, path: str, text: str, *, encoding: str = "utf-8", mode: int = 0o644, timeout: float | None = None
    ) -> None:
        """Put a text file into the guest; line ends are left as they are. Raises CopyError."""
        self.write_bytes(path, text.encode(encoding), mode=mode, timeout=timeout)

    # Power

    def start(self, *, timeout: float = BOOT) -> None:
        """Boot the machine and wait until commands work. Raises BootTimeout."""
        with self.transcript.doing("start", self.name):
            self._machine.start(timeout)
            self.membership.renew()

    def shutdown(self, *, timeout: float = SHUTDOWN) -> None:
        """Ask the guest to power off and wait for it. Raises MachineStateError when it does not in time."""
        self._machine.shutdown(timeout)

    def stop(self, *, timeout: float = SHUTDOWN) -> None:
        """Shut down, or cut the power when the guest does not power off in time."""
        try:
            self._machine.shutdown(timeout)
        except MachineStateError:
            self._machine.kill()

    def kill(self) -> None:
        """Cut the power."""
        self._machine.kill()

    def restart(self, *, timeout: float = BOOT) -> None:
        """Shut down and boot again."""
        self._machine.shutdown(min(timeout, SHUTDOWN))
        self.start(timeout=timeout)

    def pause(self) -> None:
        """Stop the processors; memory stays."""
        self._machine.pause()

    def resume(self) -> None:
        """Let a paused machine run on."""
        self._machine.resume()

    # Checkpoints

    def checkpoint(self, name: str, *, memory: bool = True) -> Checkpoint:
        """Save a point to come back to: with memory when running, the disk alone with ``memory=False`` or when off."""
        if self.spec.checkpoints == "off":
            raise MachineStateError(
                f'{self.name} takes no checkpoints, its marker says checkpoints="off"', hint="remove that argument."
            )
        with self.transcript.doing("checkpoint", name):
            return self._machine.checkpoint(name, memory=memory and self.spec.checkpoints == "standard")

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a point of this machine: running when memory was saved, off otherwise."""
        with self.transcript.doing("restore", checkpoint.name):
            self._machine.restore(checkpoint)
            self.membership.renew()

    def delete_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Forget a point; those that grew from it stay."""
        self._machine.delete_checkpoint(checkpoint)

    @property
    def checkpoints(self) -> CheckpointTree:
        """The tree of this machine's checkpoints; its root is the state the machine came from."""
        return CheckpointTree.of(self._machine.checkpoints(), current=self._machine.current)

    # Waiting

    def wait_until_succeeds(self, argv: Sequence[str], *, timeout: float = 60.0) -> CommandResult:
        """Repeat a command until it returns 0. Raises CommandTimeout with the last result when it does not in time.

        A guest that reboots meanwhile is waited for; one that dies ends the wait at once.
        """
        return waiting.wait_until_succeeds(lambda: self.run(argv, timeout=timeout), argv, timeout)

    def wait_for_file(self, path: str, *, timeout: float = 60.0) -> None:
        """Wait until something exists at ``path``. Raises CommandTimeout."""
        waiting.wait_for_file(lambda: self._machine.session.stat(path), path, timeout)

    def wait_for_port(self, port: int, *, host: str = "localhost", timeout: float = 60.0) -> None:
        """Wait until the guest can connect to a TCP port, its own or another host's. Raises CommandTimeout."""
        guest_ports.wait_for_port(self, port, host, timeout)

    # Seen from inside

    def events(
        self, since: float | datetime.datetime | None = None, *, timeout: float | None = None
    ) -> list[GuestEvent]:
        """The guest's journal, or its System and Application event logs, oldest first, the newest 1,000 entries.

        ``since`` is a time with its zone, or seconds since 1970; the guest's clock decides. Without it, since the
        machine was leased. Raises CommandFailed in a guest that keeps neither.
        """
        start, limit = guest_events.seconds_of(self._leased if since is None else since), timeout or self.timeout
        if self._image.os_family == "windows":
            return guest_events.event_logs_since(self.powershell.run, start, timeout=limit)
        return guest_events.journal_since(self._machine.session, start, timeout=limit)

    # Seen from outside

    def screenshot(self, path: str | Path | None = None) -> bytes:
        """The screen as a PNG file's bytes, written to ``path`` too when one is given."""
        picture = self._machine.screenshot()
        if path is not None:
            Path(path).write_bytes(picture)
        return picture

    def console_text(self) -> str:
        """What the guest said on its serial console since the machine was made."""
        return self._machine.console_text()
