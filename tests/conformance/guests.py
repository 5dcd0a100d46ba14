"""The words of the suite, said to a Linux or a Windows guest: what a test wants done, as the guest's own command.

Linux guests need coreutils, procps and a POSIX shell; Windows guests nothing beyond what every edition with PowerShell
5.1 has. A list is a program and its arguments, a text is a script for ``vm.sh``.
"""

from __future__ import annotations

import re
from typing import Protocol

from pytest_hyperv import VirtualMachine
from tests.conformance.linux import LINUX
from tests.conformance.windows import WINDOWS


class Guest(Protocol):
    """An operating system's words."""

    folder: str
    """A folder that does not exist in a fresh machine, in a place that lasts over a restart."""
    stdin_sample: bytes
    """Input that ``copy_stdin`` gives back byte for byte: any bytes where programs take them, many lines elsewhere."""
    fine: tuple[str, ...]
    """Returns 0 and says nothing."""
    copy_stdin: tuple[str, ...]
    """Writes what it reads."""
    where: tuple[str, ...]
    """Prints the folder it runs in."""
    root: str
    """A folder that is always there, as ``where`` prints it."""
    quoted: tuple[str, str]
    """A line of the guest's shell with quotes and spaces, and what it prints."""

    def path(self, *names: str) -> str:
        """A path below ``folder``."""
        ...

    def fail(self, out: str, err: str, code: int) -> list[str]:
        """Print a word on each stream and return ``code``."""
        ...

    def variable(self, name: str) -> list[str]:
        """Print an environment variable."""
        ...

    def exists(self, path: str) -> list[str]:
        """Return 0 when there is something at ``path``."""
        ...

    def digest(self, path: str) -> list[str]:
        """Print a file's SHA-256 in hexadecimal digits, among other words."""
        ...

    def sleep(self, seconds: int) -> list[str]:
        """Do nothing for so long."""
        ...

    def say_and_sleep(self, word: str, seconds: int) -> list[str]:
        """Print a word, then do nothing for so long."""
        ...

    def sleep_apart(self, seconds: int) -> str:
        """Start a sleeper that outlives the command that starts it."""
        ...

    def make_late(self, path: str) -> list[str]:
        """Wait about a second, then make a file at ``path``, in a folder that is there."""
        ...

    def sleeps(self, vm: VirtualMachine) -> bool:
        """Whether a sleeper runs."""
        ...

    def to_console(self, word: str) -> str:
        """Write a word to the first serial port."""
        ...

    def to_log(self, word: str) -> list[str]:
        """Write a word into the system's log, as a warning or an error."""
        ...

    def serve(self, vm: VirtualMachine) -> int:
        """Have something listen on all addresses; returns its TCP port."""
        ...

    def clock(self, vm: VirtualMachine) -> float:
        """The guest's clock, in seconds since 1970 UTC."""
        ...

    def memory(self, vm: VirtualMachine) -> int:
        """Bytes of memory that the guest uses."""
        ...

    def processors(self, vm: VirtualMachine) -> int:
        """How many logical processors it has."""
        ...

    def booted_by_uefi(self, vm: VirtualMachine) -> bool:
        """Whether UEFI firmware started it."""
        ...

    def secure_boot(self, vm: VirtualMachine) -> bool:
        """Whether Secure Boot is on."""
        ...

    def has_tpm_2(self, vm: VirtualMachine) -> bool:
        """Whether it has a TPM of version 2.0."""
        ...

    def sees_virtualization(self, vm: VirtualMachine) -> bool:
        """Whether its processor can run machines."""
        ...

    def adapters(self, vm: VirtualMachine) -> list[str]:
        """The names of its network adapters, the loopback left out."""
        ...

    def networks(self, vm: VirtualMachine) -> list[str]:
        """The IPv4 networks it has a way to, as addresses with prefixes; a way to everywhere is 0.0.0.0/0."""
        ...

    def open_to_ping(self, vm: VirtualMachine) -> None:
        """Let the guest answer to ``ping``."""
        ...

    def ping(self, address: str) -> list[str]:
        """Return 0 when ``address`` answers."""
        ...

    def crash(self, vm: VirtualMachine) -> None:
        """Make the kernel give up."""
        ...


def guest_of(vm: VirtualMachine) -> Guest:
    """The words of the machine's operating system."""
    return LINUX if vm.image.os_family == "linux" else WINDOWS


def sha256_in(said: str) -> str:
    """The SHA-256 that a guest printed, in small letters."""
    found = re.search(r"\b[0-9a-fA-F]{64}\b", said)
    assert found, f"no SHA-256 in {said!r}"
    return found[0].lower()
