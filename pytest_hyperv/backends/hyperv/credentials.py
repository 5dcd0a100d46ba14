"""Who we are to a host and to its guests: looked up in the environment, in the keyring, or asked for at a terminal.

Nothing here shows a password, and no message repeats a value in which one was expected.
"""

from __future__ import annotations

import getpass
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.ssh_client import SshLogin
from pytest_hyperv.errors import SettingsError
from pytest_hyperv.psrp import dotnet
from pytest_hyperv.psrp.secret import NO_SECRET, Secret

HOST_USER, HOST_PASSWORD = "PYTEST_HYPERV_HOST_USER", "PYTEST_HYPERV_HOST_PASSWORD"
KEYRING_SERVICE = "pytest-hyperv:{host}"
"""The keyring's service for a host; the entry's user name is the host's user."""

Ask = Callable[[str], str]
_ASKING = threading.Lock()


@dataclass(frozen=True)
class Credential:
    """An account and its password. ``source`` says in words where the password came from.

    ``user`` may be ``DOMAIN\\\\user`` or ``user@domain``. PowerShell Direct takes a user without a domain as one of the
    guest itself (an empty domain becomes ``localhost``), so domain users name their domain.
    """

    user: str
    password: Secret
    source: str = ""

    def for_wire(self) -> dotnet.Credential:
        """The PSCredential to give as a parameter; its password travels encrypted with the session's key."""
        return dotnet.Credential(self.user, self.password)


def host_credential(
    address: HostAddress, *, environment: Mapping[str, str] | None = None, ask: Ask | None = None
) -> Credential:
    """The account for a host, with an empty password where the road needs none.

    This machine and SSH take the account we have already; a certificate proves who it is; Kerberos without a password
    uses the ticket there is. Otherwise the password comes from PYTEST_HYPERV_HOST_PASSWORD, the keyring entry
    ``pytest-hyperv:HOST`` of that user, or ``ask``, which is a prompt when a person can be asked.
    Raises SettingsError naming the variable to set.
    """
    environment = os.environ if environment is None else environment
    user = address.user or environment.get(HOST_USER, "")
    if address.road != "winrm" or address.transport == "certificate":
        return Credential(address.user, NO_SECRET)
    password = environment.get(HOST_PASSWORD, "")
    if password and user:
        return Credential(user, Secret(password), f"the environment variable {HOST_PASSWORD}")
    if address.transport == "kerberos":
        return Credential(user, NO_SECRET, "the Kerberos ticket of this account")
    if not user:
        raise SettingsError(
            f"No user is known for {address.name}", hint=f"Write winrm://user@{address.name}, or set {HOST_USER}."
        )
    service = KEYRING_SERVICE.format(host=address.name)
    kept = _from_keyring(service, user, needed=False)
    if kept:
        return Credential(user, Secret(kept), f"the keyring entry {service}")
    ask = ask or prompt()
    given = ask(f"Password of {user} on {address.name}: ") if ask else ""
    if not given:
        raise SettingsError(
            f"No password is known for {user} on {address.name}",
            hint=f"Set the environment variable {HOST_PASSWORD}, or keep it in the keyring: "
            f"keyring set {service} '{user}' (pip install pytest-hyperv[keyring]).",
        )
    return Credential(user, Secret(given), "the prompt")


def guest_credential(reference: str, image: str, *, environment: Mapping[str, str] | None = None) -> Credential:
    """The account that an image's ``credentials`` refers to.

    ``env:NAME``: the variable NAME holds ``user:password``, or NAME_USER and NAME_PASSWORD hold one each.
    ``keyring:SERVICE/USER``: the keyring's password of USER for SERVICE. Raises SettingsError.
    """
    environment = os.environ if environment is None else environment
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        return _from_environment(name, image, environment)
    service, _, user = name.partition("/")
    if kind == "keyring" and service and user:
        kept = _from_keyring(service, user, needed=True)
        if kept:
            return Credential(user, Secret(kept), f"the keyring entry {service}")
        raise SettingsError(
            f"The keyring has no password of {user} for {service}, which the image {image} refers to",
            hint=f"keyring set {service} '{user}'",
        )
    raise SettingsError(
        f"The image {image} does not say who logs on to its guests",
        hint=f"pytest-hyperv images import {image} DISK --replace --credentials env:NAME, or keyring:SERVICE/USER.",
    )


def guest_login(reference: str, image: str, key: str) -> SshLogin:
    """The account that an image's ``credentials``, key:USER, refers to; ``key`` is the file with its private key.

    Raises SettingsError.
    """
    kind, _, user = reference.partition(":")
    if kind == "key" and user and key:
        return SshLogin(user, Path(key))
    raise SettingsError(
        f"The image {image} does not say whose key opens its guests",
        hint=f"pytest-hyperv images import {image} DISK --replace --road ssh --credentials key:USER --ssh-key FILE",
    )


def prompt() -> Ask | None:
    """Asks the person at the terminal; None where there is none: output is captured, or this is a worker."""
    if "PYTEST_XDIST_WORKER" in os.environ or sys.stdin is None or not sys.stdin.isatty():
        return None
    return _ask


def _ask(question: str) -> str:
    """What is typed, unseen; "" at the end of input. Several hosts that are opened at once ask one after the other."""
    try:
        with _ASKING:
            return getpass.getpass(question)
    except EOFError:
        return ""


def _from_environment(name: str, image: str, environment: Mapping[str, str]) -> Credential:
    user, colon, password = environment.get(name, "").partition(":")
    if user and colon and password:
        return Credential(user, Secret(password), f"the environment variable {name}")
    user, password = environment.get(f"{name}_USER", ""), environment.get(f"{name}_PASSWORD", "")
    if user and password:
        return Credential(user, Secret(password), f"the environment variable {name}_PASSWORD")
    raise SettingsError(
        f"The environment does not hold the account of the image {image}: {name} is not set to user:password",
        hint=f"Set {name} to user:password, or set {name}_USER and {name}_PASSWORD.",
    )


def _from_keyring(service: str, user: str, *, needed: bool) -> str:
    """The password kept there, "" when there is none; a keyring that cannot be used matters only if it is needed."""
    try:
        keyring: Any = import_module("keyring")
    except ImportError:
        if not needed:
            return ""
        raise SettingsError("The package keyring is not installed", hint="pip install pytest-hyperv[keyring]") from None
    try:
        return keyring.get_password(service, user) or ""
    except keyring.errors.KeyringError as error:
        if not needed:
            return ""
        raise SettingsError(
            f"The keyring cannot be read: {type(error).__name__}",
            hint="See `keyring diagnose`, or refer to the environment instead: env:NAME.",
        ) from None
