"""Where a Hyper-V host is and how it is reached, as people write it: ``local``, ``winrm://...``, ``ssh://...``.

An address never holds a secret, so it may be shown anywhere; text that was refused is never repeated, because it may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote, unquote

from pytest_hyperv.errors import SettingsError
from pytest_hyperv.psrp.winrm_target import Authentication, Scheme

RoadName = Literal["local", "winrm", "ssh"]

FORMS = "local, winrm://[user@]host[:port][/?transport=...&scheme=...&verify=no&ca=PATH] or ssh://[user@]host[:port]"
ASKED_ELSEWHERE = (
    "Give the password by the environment (PYTEST_HYPERV_HOST_PASSWORD), by the keyring, or at the prompt. "
    "An @ that belongs to a user is written as it is, one that belongs to a path as %40."
)
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_V6 = re.compile(r"\[(?P<host>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?)\]")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class HostAddress:
    """One host and the road to it. ``port`` 0 is the usual one; what follows it is for WinRM alone.

    ``ca`` is a PEM file or folder of authorities to trust, ``cert`` and ``key`` are the PEM files of
    ``transport="certificate"``; all absolute paths of this machine.
    """

    road: RoadName = "local"
    host: str = ""
    user: str = ""
    port: int = 0
    transport: Authentication = "ntlm"
    scheme: Scheme = "https"
    verify: bool = True
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def parse(cls, text: str) -> HostAddress:
        """The address that ``text`` writes. Raises SettingsError, which does not repeat the text."""
        if text == "local":
            return cls()
        road, separator, rest = text.partition("://")
        if not separator or road not in ("winrm", "ssh"):
            raise SettingsError("The address of a host has another form", hint=f"It is one of: {FORMS}.")
        user, rest = _user(rest)
        place, _, query = rest.partition("?")
        host, port = _place(place.removesuffix("/"))
        if road == "ssh":
            if query:
                raise SettingsError(
                    "An ssh:// address takes no options", hint="Put them into ~/.ssh/config, which ssh reads."
                )
            return cls("ssh", host, user, port)
        return cls("winrm", host, user, port, **_options(query))

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine, or the Windows that WSL runs on."""
        return self.road == "local"

    @property
    def name(self) -> str:
        """The host's name alone; "local" for this machine."""
        return self.host or "local"

    def __str__(self) -> str:
        if self.is_local:
            return "local"
        user = f"{quote(self.user, safe=_SAFE_IN_USER)}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        said = "&".join(f"{name}={quote(value, safe='/')}" for name, value in self._told().items())
        return f"{self.road}://{user}{host}{port}" + (f"/?{said}" if said else "")

    def _told(self) -> dict[str, str]:
        """The options that do not have their default, as they are written."""
        told = {"transport": self.transport, "scheme": self.scheme, "verify": "yes" if self.verify else "no"}
        usual = {"transport": "ntlm", "scheme": "https", "verify": "yes"}
        files = {name: str(path) for name in ("ca", "cert", "key") if (path := getattr(self, name)) is not None}
        return {name: value for name, value in told.items() if value != usual[name]} | files


_SAFE_IN_USER = "\\@!$&'()*+,;="


def _user(rest: str) -> tuple[str, str]:
    """The user and what follows it. Everything before the last @ is taken for user and password, even a slash."""
    user, separator, place = rest.rpartition("@")
    name = unquote(user)
    if ":" in name:
        raise SettingsError("The address of a host holds no password", hint=ASKED_ELSEWHERE)
    if (separator and not name) or name.startswith("-") or not name.isprintable() or {*name} & {*'/?#"'}:
        raise SettingsError(
            "The user in the address of a host cannot be one",
            hint=r"Write user@host, DOMAIN\user@host or user@domain@host.",
        )
    return name, place


def _place(place: str) -> tuple[str, int]:
    """Host and port."""
    bracketed = _V6.match(place)
    host = bracketed["host"] if bracketed else place.partition(":")[0]
    port = place[bracketed.end() :] if bracketed else place[len(host) :]
    number = port.removeprefix(":")
    if not (bracketed or _NAME.fullmatch(host)) or (port and not port.startswith(":")):
        raise SettingsError(
            "The host in the address of a host is no name and no IP address",
            hint=f"The address is one of: {FORMS}; IPv6 stands in brackets.",
        )
    if port and not (_PORT.fullmatch(number) and 0 < int(number) < 65536):
        raise SettingsError("The port in the address of a host is no number from 1 to 65535", hint=ASKED_ELSEWHERE)
    return host, int(number or 0)


def _options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in _READ:
            raise SettingsError(
                "The address of a host has an option that WinRM does not have",
                hint=f"The options are {', '.join(_READ)}. {ASKED_ELSEWHERE}",
            )
        options[name] = _READ[name](name, unquote(value))
    return options


def _word(words: Mapping[str, Any]) -> Any:
    def read(name: str, value: str) -> Any:
        if value not in words:
            raise SettingsError(f"The option {name} of a host's address is none of {', '.join(words)}")
        return words[value]

    return read


def _path(name: str, value: str) -> Path:
    if not value:
        raise SettingsError(f"The option {name} of a host's address names no file")
    return Path(value).expanduser().absolute()


_READ = {
    "transport": _word({word: word for word in get_args(Authentication)}),
    "scheme": _word({word: word for word in get_args(Scheme)}),
    "verify": _word({"yes": True, "no": False}),
    "ca": _path,
    "cert": _path,
    "key": _path,
}
