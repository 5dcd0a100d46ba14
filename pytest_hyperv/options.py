"""What pytest is told when it starts: settings and markers in words. Every run reads this, so it is kept cheap."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PREFIX = "hyperv"
BACKENDS = ("auto", "hyperv", "qemu")
HOST_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""What a host may be called in an inventory."""

MARKERS = {
    "hyperv": "hyperv(image=, memory=, dynamic_memory=, cpus=, generation=, secure_boot=, tpm=, nested=, network=, "
    "checkpoints=, state=, reset=, timeout=, backend=, evidence=): the machine that the test gets",
    "nested_virtualization": "nested_virtualization: the machine must be able to run machines; skipped where it cannot",
    "hyperv_requires": "hyperv_requires(*capabilities, memory=, cpus=, disk=, os=, host=, tags=): what the host must "
    "have",
}


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
        return text

    return parse


def _count(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or int(text) < minimum:
            raise ValueError(f"{text!r} is no whole number of at least {minimum}")
        return int(text)

    return parse


def _flag(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError(f"{text!r} is neither true nor false")
    return words[text.lower()]


def _memory(text: str) -> int:
    from pytest_hyperv.sizes import parse_memory

    return parse_memory(text)


def _host(text: str) -> str:
    if text == "local" or re.fullmatch(HOST_NAME, text):
        return text
    from pytest_hyperv.backends.hyperv.address import HostAddress

    return str(HostAddress.parse(text))


def parse_limit(text: str) -> int | None:
    """Bytes, or None for ``none``: no limit. Raises ValueError."""
    if text == "none":
        return None
    from pytest_hyperv.sizes import parse_size

    return parse_size(text)


def parse_time(text: str) -> float:
    """Seconds from text such as "4h". Raises ValueError."""
    from pytest_hyperv.durations import parse_duration

    return parse_duration(text)


def _inventory(text: str) -> Path | None:
    return None if text == "none" else Path(text).expanduser().absolute()


def _cache(text: str) -> Path | None:
    from pytest_hyperv.cache import default_cache

    return Path(text).expanduser().absolute() if text else default_cache()


def _page(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text).expanduser().absolute()
    if path.is_dir():
        raise ValueError(f"{text!r} is a folder")
    return path


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _budget(text: str) -> Any:
    if not text:
        return None
    from pytest_hyperv.leases import Limits

    return Limits.parse(text)


class Option(NamedTuple):
    """One setting: ``--hyperv-NAME``, ``PYTEST_HYPERV_NAME`` and the ini line ``hyperv_NAME``, the first one wins.

    ``parse`` raises ValueError, or SettingsError with a hint of its own, saying what is accepted.
    """

    name: str
    parse: Callable[[str], Any]
    help: str
    default: str = ""
    metavar: str = ""
    flag: bool = False

    @property
    def flag_name(self) -> str:
        """The name on the command line."""
        return f"--{PREFIX}-{self.name.replace('_', '-')}"

    @property
    def key(self) -> str:
        """The name in the ini file, and of the parsed command line value."""
        return f"{PREFIX}_{self.name}"

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return f"PYTEST_{self.key.upper()}"


STATES_LIMIT = Option(
    "states_limit",
    parse_limit,
    "disk that saved states may take; those used longest ago go first, after a run that built some; none: no limit",
    "20GiB",
    "SIZE",
)
BUDGET = Option(
    "budget",
    _budget,
    "what the machines of all workers and runs may take of the host together: memory=SIZE,cpus=N,vms=N; "
    "what is left out is as the host has it",
    "",
    "PARTS",
)
ROOM_TIMEOUT = Option(
    "room_timeout", parse_time, "how long a test waits for room on the host before it fails", "10m", "TIME"
)
KEEP_FOR = Option("keep_for", parse_time, "how long a machine is kept, since somebody last was in it", "4h", "TIME")
OPTIONS = (
    Option("backend", _choice(*BACKENDS), "which hypervisor makes the machines: auto, hyperv or qemu", "auto", "NAME"),
    Option("image", str, "golden image of machines whose test names none", "debian-12", "NAME"),
    Option("memory", _memory, "memory of machines whose test names none", "512MiB", "SIZE"),
    Option("cpus", _count(1), "processors of machines whose test names none", "1", "N"),
    Option(
        "strict", _flag, "fail a test whose requirements this host does not meet, instead of skipping it", "0", "", True
    ),
    Option("spares", _count(0), "machines kept warm for the next test while one runs", "1", "N"),
    BUDGET,
    ROOM_TIMEOUT,
    Option("group", _flag, "run the tests that start from one state together", "0", "", True),
    Option("cache", _cache, "folder of images, states and machines", "", "DIR"),
    Option(
        "host",
        _host,
        "Hyper-V host: local, winrm://user@host, ssh://user@host, or the name of one of the inventory",
        "local",
        "ADDRESS",
    ),
    Option(
        "inventory",
        _inventory,
        "TOML file of the hosts that machines are placed on; none: the one host",
        "none",
        "FILE",
    ),
    Option(
        "psdirect",
        _choice("host", "native"),
        "who opens PowerShell Direct: a process on the host, or this one, where it is the host (native)",
        "host",
        "WHO",
    ),
    STATES_LIMIT,
    Option("keep", _choice("failed", "all", "none"), "whose machines are kept, to be entered", "none", "WHOSE"),
    KEEP_FOR,
    Option("report", _page, "HTML file that the page of the run is written to", "", "FILE"),
    Option(
        "evidence",
        _choice("failed", "always", "never"),
        "keep what the machines of a test show of themselves when it failed, always, or never",
        "failed",
        "WHEN",
    ),
    Option("artifacts", _folder, "folder of that evidence, made when there is some", "hyperv-artifacts", "DIR"),
    Option("dump", _flag, "keep the memory of guests that crashed, as far as the backend can", "0", "", True),
)
