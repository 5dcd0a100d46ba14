"""The inventory: which hosts there are, how each is reached, what it is for, and how much of it tests may take.

A TOML file with a table for each host. It never holds a password: a key or an address that seems to is refused, and not
repeated.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_hyperv.backends.registry import normal_address
from pytest_hyperv.errors import SettingsError
from pytest_hyperv.leases import Limits
from pytest_hyperv.options import BACKENDS, HOST_NAME
from pytest_hyperv.sizes import parse_size

SHAPE = """\
a table for each host: [hosts.NAME] with address = "winrm://user@host", backend = "hyperv", tags = ["fast"], \
limits = { memory = "64GiB", cpus = 16, vms = 8 }; all but the address of a Hyper-V host may be left out"""
NO_PASSWORDS = "take it out of the file: passwords come from PYTEST_HYPERV_HOST_PASSWORD, the keyring or the prompt."
_SECRET = re.compile(r"pass|pwd|secret|token|credential", re.IGNORECASE)
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Host:
    """A host that machines may be placed on. ``address`` is what ``--hyperv-host`` takes, "local" for this computer.

    ``limits`` are how much of it the machines of all tests together may take.
    """

    name: str
    address: str = "local"
    backend: str = "hyperv"
    tags: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)


def read_inventory(path: Path) -> tuple[Host, ...]:
    """The hosts of a file, in its order. Raises SettingsError naming the file, the key and what is accepted."""
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"the inventory {path} cannot be read: {error.strerror or error}", hint=f"it is a TOML file with {SHAPE}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the inventory {path} is not TOML: {error}", hint=f"it has {SHAPE}.") from None
    reader = _Reader(path)
    tables = reader.table("", told, ("hosts",)).get("hosts")
    if not isinstance(tables, dict) or not tables:
        raise reader.wrong("hosts", "names no host")
    hosts = tuple(reader.host(name, told) for name, told in tables.items())
    seen: dict[tuple[str, str], str] = {}
    for host in hosts:
        twin = seen.setdefault((host.backend, host.address), host.name)
        if twin != host.name:
            raise reader.wrong(f"hosts.{host.name}", f"has the address of hosts.{twin}", hint="leave one of them out.")
    return hosts


def chosen(hosts: Sequence[Host], word: str, path: Path) -> tuple[Host, ...]:
    """The host that ``word`` means: one by its name, or an address, of the inventory or not. Raises SettingsError."""
    found = [host for host in hosts if host.name == word] or [host for host in hosts if host.address == word]
    if found:
        return (found[0],)
    if word == "local" or "://" in word:
        return (Host(word, word),)
    raise SettingsError(
        f"The inventory {path} has no host of that name",
        hint=f"it has {', '.join(host.name for host in hosts)}; an address is taken too.",
    )


class _Reader:
    """Reads one file; every refusal names it and the key."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def host(self, name: str, told: object) -> Host:
        key = f"hosts.{name}"
        if not re.fullmatch(HOST_NAME, name):
            raise self.wrong(key, "is no name of a host", hint="letters, digits, '.', '_' and '-' make a name.")
        if not isinstance(told, dict):
            raise self.wrong(key, "is no table")
        table = self.table(key, told, ("address", "backend", "tags", "limits"))
        backend = table.get("backend", Host.backend)
        if backend not in BACKENDS[1:]:
            raise self.wrong(f"{key}.backend", f"is none of {', '.join(BACKENDS[1:])}")
        address = table.get("address", "")
        if not isinstance(address, str):
            raise self.wrong(f"{key}.address", "is no text")
        try:
            address = normal_address(backend, address)
        except SettingsError as error:
            raise self.wrong(f"{key}.address", f"cannot be used: {error.message}", hint=error.hint) from None
        tags = self._tags(f"{key}.tags", table.get("tags", []))
        return Host(name, address, backend, tags, self._limits(f"{key}.limits", table.get("limits", {})))

    def table(self, key: str, told: Mapping[str, Any], known: Sequence[str]) -> Mapping[str, Any]:
        """A table whose keys are all known."""
        for name in told:
            inner = f"{key}.{name}" if key else name
            if _SECRET.search(name):
                raise self.wrong(inner, "looks like a password, and an inventory holds none", hint=NO_PASSWORDS)
            if name not in known:
                raise self.wrong(inner, "is unknown", hint=f"known here: {', '.join(known)}.")
        return told

    def _tags(self, key: str, told: object) -> frozenset[str]:
        if not isinstance(told, list) or not all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in told):
            raise self.wrong(key, "is no list of words", hint='write tags = ["gpu", "fast"].')
        return frozenset(told)

    def _limits(self, key: str, told: object) -> Limits:
        if not isinstance(told, dict):
            raise self.wrong(key, "is no table")
        table = self.table(key, told, tuple(_LIMITS))
        values = {}
        for name, value in table.items():
            try:
                values[name] = _LIMITS[name](value)
            except ValueError as error:
                raise self.wrong(f"{key}.{name}", f"cannot be used: {error}", hint="") from None
        return Limits(**values)

    def wrong(self, key: str, what: str, *, hint: str = f"the file has {SHAPE}.") -> SettingsError:
        return SettingsError(f"the inventory {self._path}: {key} {what}", hint=hint)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("it is no whole number of at least 1")
    return value


_LIMITS: dict[str, Callable[[object], int]] = {"memory": parse_size, "cpus": _count, "vms": _count}
