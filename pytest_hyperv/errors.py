"""One tree of exceptions: what happened, to which object, in fields; and the next step in ``hint``."""

from __future__ import annotations


class HypervError(Exception):
    """Root of everything this plugin raises. ``message`` says what happened, ``hint`` what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nHint: {self.hint}" if self.hint else self.message


class SettingsError(HypervError):
    """An option, environment variable or ini value cannot be used."""


class MarkerError(HypervError):
    """A marker carries wrong arguments."""


class CapabilityMissing(HypervError):
    """The host cannot do what a test needs. ``missing`` maps each unmet requirement to its reason in words."""

    def __init__(self, message: str, *, hint: str = "", missing: dict[str, str] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.missing = dict(missing or {})


class ImageError(HypervError):
    """A golden image is unknown, damaged, or cannot be built, imported or exported. ``image`` is its name."""

    def __init__(self, message: str, *, hint: str = "", image: str = "") -> None:
        super().__init__(message, hint=hint)
        self.image = image


class StateError(HypervError):
    """A state cannot be built or its saved files cannot be used. ``state`` is its key."""

    def __init__(self, message: str, *, hint: str = "", state: str = "") -> None:
        super().__init__(message, hint=hint)
        self.state = state


class HostError(HypervError):
    """The machine the hypervisor runs on failed us. ``host`` is its address."""

    def __init__(self, message: str, *, hint: str = "", host: str = "local") -> None:
        super().__init__(message, hint=hint)
        self.host = host


class HostUnreachable(HostError):
    """No connection to the host, or it was lost."""


class AccessDenied(HostError):
    """The host refused the credentials or the rights of the account."""


class CmdletError(HostError):
    """A PowerShell command failed on the host. Fields are those of PowerShell's ErrorRecord."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        host: str = "local",
        command: str = "",
        error_id: str = "",
        category: str = "",
        target: str = "",
        position: str = "",
        stack: str = "",
    ) -> None:
        super().__init__(message, hint=hint, host=host)
        self.command = command
        self.error_id = error_id
        self.category = category
        self.target = target
        self.position = position
        self.stack = stack


class MachineError(HypervError):
    """A virtual machine failed. ``machine`` is its name."""

    def __init__(self, message: str, *, hint: str = "", machine: str = "") -> None:
        super().__init__(message, hint=hint)
        self.machine = machine


class MachineStateError(MachineError):
    """The machine is in the wrong state for what was asked."""


class BootTimeout(MachineError):
    """The guest did not become usable in time; the message ends with what was last seen of it."""


class GuestCrashed(MachineError):
    """The guest died. ``kind`` is "panic", "reset", "hypervisor" or "bugcheck"; ``text`` is its last words."""

    def __init__(self, message: str, *, hint: str = "", machine: str = "", kind: str = "", text: str = "") -> None:
        super().__init__(message, hint=hint, machine=machine)
        self.kind = kind
        self.text = text


class GuestError(HypervError):
    """Something asked of the guest did not work, while the guest itself lives."""


class CommandFailed(GuestError):
    """A guest command ended with a failure. ``result`` is its CommandResult or PowerShellResult."""

    def __init__(self, message: str, *, hint: str = "", result: object = None) -> None:
        super().__init__(message, hint=hint)
        self.result = result


class CommandTimeout(GuestError):
    """A guest command took longer than ``timeout`` seconds and was killed; ``stdout`` and ``stderr`` are its output."""

    def __init__(
        self, message: str, *, hint: str = "", timeout: float = 0.0, stdout: bytes = b"", stderr: bytes = b""
    ) -> None:
        super().__init__(message, hint=hint)
        self.timeout = timeout
        self.stdout = stdout
        self.stderr = stderr


class SessionLost(GuestError):
    """The session into the guest ended although the guest did not."""


class CopyError(GuestError):
    """A file or tree could not be copied. ``path`` is the one that failed."""

    def __init__(self, message: str, *, hint: str = "", path: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class PoolError(HypervError):
    """No machine could be leased."""


class NoRoom(PoolError):
    """The host's budget of memory, cores or machines cannot hold the machine asked for."""


class LeaseLost(PoolError):
    """A leased machine was taken away, by its expiry or by a reaper."""
