"""Shells of a WinRM service and the processes in them (MS-WSMV 3.1.4.5 to 3.1.4.14)."""

from __future__ import annotations

import base64
import shlex
import subprocess
import threading
import uuid
from typing import IO

from tests.psrp import winrm_soap as soap
from tests.psrp.winrm_soap import Call, Refused

OUTPUT_PER_RECEIVE = 100_000
ARGUMENTS = "*"
"""The element of a command line that stands for the arguments that the client gave."""


class Process:
    """A running command; its output waits here for Receives."""

    def __init__(self, argv: list[str]) -> None:
        self.id = str(uuid.uuid4()).upper()
        self.aborted = False
        self._popen = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        assert self._popen.stdin is not None
        self._stdin = self._popen.stdin
        self._news = threading.Condition()
        self._waiting = {"stdout": bytearray(), "stderr": bytearray()}
        self._open_streams = 2
        for name, stream in (("stdout", self._popen.stdout), ("stderr", self._popen.stderr)):
            assert stream is not None
            threading.Thread(target=self._read, args=(name, stream), daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the operating system still runs it."""
        return self._popen.poll() is None

    def write(self, data: bytes, *, end: bool) -> None:
        """Give it input; ``end`` closes its stdin."""
        try:
            view = memoryview(data)
            while view:
                view = view[self._stdin.write(view) or 0 :]
            if end:
                self._stdin.close()
        except (BrokenPipeError, ValueError) as error:
            raise Refused(soap.PIPE_CLOSED, "The pipe is being closed.") from error

    def read(self, timeout: float) -> tuple[dict[str, bytes], int | None]:
        """Output of either stream, and the exit code once there is none left; waits for ``timeout`` seconds."""
        with self._news:
            ready = self._news.wait_for(lambda: any(self._waiting.values()) or not self._open_streams, timeout)
            if self.aborted:
                raise Refused(soap.OPERATION_ABORTED, "The I/O operation has been aborted because of a thread exit.")
            if not ready:
                raise Refused(
                    soap.OPERATION_TIMEOUT, "The WS-Management service cannot complete the operation in time."
                )
            taken = {name: bytes(data[:OUTPUT_PER_RECEIVE]) for name, data in self._waiting.items()}
            for name, data in taken.items():
                del self._waiting[name][: len(data)]
            finished = not self._open_streams and not any(self._waiting.values())
            self._news.notify_all()
        return taken, self._popen.wait() if finished else None

    def kill(self, *, aborted: bool = False) -> None:
        """End it; ``aborted`` makes the Receives that wait for it fail."""
        self._popen.kill()
        self._popen.wait()
        with self._news:
            self.aborted = self.aborted or aborted
            self._open_streams = 0
            self._news.notify_all()

    def _read(self, name: str, stream: IO[bytes]) -> None:
        while data := stream.read(65536):
            with self._news:
                self._waiting[name] += data
                self._news.notify_all()
                self._news.wait_for(lambda: len(self._waiting[name]) < 1 << 20 or self.aborted)
        with self._news:
            self._open_streams = max(0, self._open_streams - 1)
            self._news.notify_all()


class Shells:
    """All shells of the service. ``commands`` maps a program's name (without .exe) to the command line that runs."""

    def __init__(self, commands: dict[str, list[str]], max_shells: int) -> None:
        self._commands = commands
        self._max_shells = max_shells
        self._lock = threading.Lock()
        self._shells: dict[str, dict[str, Process]] = {}

    def answer(self, call: Call) -> bytes:
        """Carry out one call; raises Refused."""
        handlers = {
            "Create": self._create,
            "Command": self._command,
            "Send": self._send,
            "Receive": self._receive,
            "Signal": self._signal,
            "Delete": self._delete,
        }
        if call.operation not in handlers or not call.resource.startswith(soap.CMD):
            raise Refused(soap.NOT_FOUND, f"{call.operation} of {call.resource} is not served here.")
        return handlers[call.operation](call)

    def counts(self) -> dict[str, int]:
        """How many shells are open and how many of their processes run."""
        with self._lock:
            processes = [process for shell in self._shells.values() for process in shell.values()]
            return {"shells": len(self._shells), "processes": sum(process.alive for process in processes)}

    def end(self) -> None:
        """Kill everything that runs."""
        with self._lock:
            for shell in self._shells.values():
                for process in shell.values():
                    process.kill(aborted=True)
            self._shells.clear()

    def _create(self, call: Call) -> bytes:
        with self._lock:
            if len(self._shells) >= self._max_shells:
                raise Refused(
                    soap.MAX_SHELLS,
                    f"The WS-Management service cannot process the request. This user is allowed a maximum number of "
                    f"{self._max_shells} concurrent shells, which has been exceeded.",
                )
            shell_id = str(uuid.uuid4()).upper()
            self._shells[shell_id] = {}
        return soap.shell_created(call, shell_id)

    def _command(self, call: Call) -> bytes:
        shell = self._shell(call)
        words = shlex.split(" ".join(call.texts("CommandLine/Command") + call.texts("CommandLine/Arguments")))
        argv = self._commands.get(words[0].lower().removesuffix(".exe"))
        if argv is None:
            raise Refused(soap.NOT_FOUND, f"The system cannot find the file {words[0]}.")
        process = Process([word for part in argv for word in (words[1:] if part == ARGUMENTS else [part])])
        shell[process.id] = process
        return soap.command_started(call, process.id)

    def _send(self, call: Call) -> bytes:
        stream = call.find("Send/Stream")
        assert stream is not None
        data = base64.b64decode(stream.text or "", validate=True)
        self._process(call, stream.get("CommandId", "")).write(data, end=stream.get("End", "").lower() == "true")
        return soap.done(call)

    def _receive(self, call: Call) -> bytes:
        wanted = call.find("Receive/DesiredStream")
        assert wanted is not None
        command_id = wanted.get("CommandId", "")
        streams, exit_code = self._process(call, command_id).read(call.timeout)
        return soap.output(call, command_id, streams, exit_code)

    def _signal(self, call: Call) -> bytes:
        signal = call.find("Signal")
        assert signal is not None
        self._process(call, signal.get("CommandId", "")).kill()
        return soap.done(call)

    def _delete(self, call: Call) -> bytes:
        shell = self._shell(call)
        with self._lock:
            del self._shells[call.shell_id]
        for process in shell.values():
            process.kill(aborted=True)
        return soap.done(call)

    def _shell(self, call: Call) -> dict[str, Process]:
        with self._lock:
            shell = self._shells.get(call.shell_id)
        if shell is None:
            raise Refused(
                soap.SHELL_NOT_FOUND,
                f"The request for the Windows Remote Shell with ShellId {call.shell_id} failed because the shell was "
                "not found on the server.",
            )
        return shell

    def _process(self, call: Call, command_id: str) -> Process:
        process = self._shell(call).get(command_id)
        if process is None:
            raise Refused(soap.SHELL_NOT_FOUND, f"The command {command_id} was not found.")
        return process
