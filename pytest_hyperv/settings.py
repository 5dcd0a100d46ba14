"""Settings: one frozen record, resolved from command line, environment, ini file and defaults, each with its origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_hyperv.errors import SettingsError
from pytest_hyperv.sizes import parse_memory

PREFIX = "hyperv"
BACKENDS = ("auto", "hyperv", "qemu")


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"{text!r} is none of {', '.join(allowed)}")
        return text

    return parse


def _count(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise ValueError(f"{text!r} is no whole number of at least {minimum}")
        return int(text)

    return parse


def _flag(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError(f"{text!r} is neither true nor false")
    return words[text.lower()]


def _folder(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


@dataclass(frozen=True)
class Option:
    """One setting: ``--hyperv-NAME``, ``PYTEST_HYPERV_NAME`` and the ini line ``hyperv_NAME``, the first one wins."""

    name: str
    parse: Callable[[str], Any]
    help: str
    default: str = ""
    metavar: str = ""
    flag: bool = False

    @property
    def flag_name(self) -> str:
        """The name on the command line."""
        return f"--{PREFIX}-{self.name}"

    @property
    def key(self) -> str:
        """The name in the ini file, and of the parsed command line value."""
        return f"{PREFIX}_{self.name}"

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return f"PYTEST_{self.key.upper()}"


OPTIONS = (
    Option("backend", _choice(*BACKENDS), "which hypervisor makes the machines: auto, hyperv or qemu", "auto", "NAME"),
    Option("image", str, "golden image of machines whose test names none", "debian-12", "NAME"),
    Option("memory", parse_memory, "memory of machines whose test names none", "512MiB", "SIZE"),
    Option("cpus", _count(1), "processors of machines whose test names none", "1", "N"),
    Option(
        "strict",
        _flag,
        "fail a test whose requirements this host does not meet, instead of skipping it",
        "0",
        flag=True,
    ),
    Option("spares", _count(0), "machines kept warm for the next test while one runs", "1", "N"),
    Option("cache", _folder, "folder of images, states and machines", "", "DIR"),
)


@dataclass(frozen=True)
class Settings:
    """What this run was told. ``origins`` names, by option, where its value came from; memory is in bytes.

    ``cache`` is None for this user's cache folder.
    """

    backend: str
    image: str
    memory: int
    cpus: int
    strict: bool
    spares: int
    cache: Path | None
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def told(self) -> list[str]:
        """The settings that do not have their default, as ``name=value (origin)``."""
        return [
            f"{name}={getattr(self, name)} ({origin})" for name, origin in self.origins.items() if origin != "default"
        ]


def resolve(
    command_line: Callable[[str], object], environment: Mapping[str, str], ini: Callable[[str], object]
) -> Settings:
    """Settings from the three places. ``command_line`` and ``ini`` answer an option's key with None or "" when unset.

    Raises SettingsError naming the option, the place and what is accepted.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for option in OPTIONS:
        places = (
            ("command line", command_line(option.key)),
            (f"environment {option.variable}", environment.get(option.variable)),
            ("ini file", ini(option.key)),
            ("default", option.default),
        )
        origin, text = next(
            ((place, str(value)) for place, value in places if value not in (None, "")), ("default", "")
        )
        try:
            values[option.name] = option.parse(text)
        except ValueError as error:
            raise SettingsError(
                f"{option.flag_name} ({origin}): {error}",
                hint=f"{option.help}; the default is {option.default or 'chosen for this user'}.",
            ) from None
        origins[option.name] = origin
    return Settings(**values, origins=origins)
