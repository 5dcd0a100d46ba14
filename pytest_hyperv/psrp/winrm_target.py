"""Where a WinRM service is and how to prove who asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_hyperv.errors import SettingsError
from pytest_hyperv.psrp.secret import NO_SECRET, Secret

Authentication = Literal["ntlm", "kerberos", "credssp", "certificate", "basic"]
Scheme = Literal["https", "http"]

_PORTS: dict[str, int] = {"https": 5986, "http": 5985}
_OVER_HTTPS_ONLY = ("certificate",)


@dataclass(frozen=True)
class WinRMTarget:
    """One WinRM service and one account. Raises SettingsError for what could not work or would not be safe.

    ``host`` is the name that the service's certificate carries. ``port`` 0 is the usual one of the scheme.
    ``ca_bundle`` is a PEM file or folder of the authorities to trust instead of the usual ones; ``verify=False`` trusts
    any certificate. Over HTTP, ntlm, kerberos and credssp encrypt every message; basic encrypts nothing and is
    refused there unless ``allow_plaintext``. ``transport="certificate"`` wants the two PEM files and no user.
    """

    host: str
    user: str = ""
    password: Secret = NO_SECRET
    transport: Authentication = "ntlm"
    scheme: Scheme = "https"
    port: int = 0
    verify: bool = True
    ca_bundle: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    allow_plaintext: bool = False

    def __post_init__(self) -> None:
        if not self.host:
            raise SettingsError("A WinRM target needs a host", hint="Name the machine as its certificate does.")
        if self.transport == "basic" and self.scheme == "http" and not self.allow_plaintext:
            raise SettingsError(
                f"Basic authentication to {self.host} over HTTP would send the password and every message in the clear",
                hint="Use HTTPS, or ntlm or kerberos over HTTP; allow_plaintext=True if you insist.",
            )
        if self.transport == "basic" and not _is_latin_1(self.user + self.password.reveal()):
            raise SettingsError(
                f"Basic authentication to {self.host} carries Latin-1 only; user or password has other characters",
                hint="Use ntlm or kerberos.",
            )
        if self.transport in _OVER_HTTPS_ONLY and self.scheme != "https":
            raise SettingsError(f"Authentication by {self.transport} to {self.host} needs HTTPS, not HTTP")
        if self.transport == "certificate":
            self._check_certificate_files()
        elif self.transport != "kerberos" and not self.user:
            raise SettingsError(f"Authentication by {self.transport} to {self.host} needs a user")

    def _check_certificate_files(self) -> None:
        for what, path in (("certificate", self.certificate), ("certificate_key", self.certificate_key)):
            if path is None or not path.is_file():
                raise SettingsError(f"{what} for {self.host} must be a PEM file, it is {path}")

    @property
    def endpoint(self) -> str:
        """The service's URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port or _PORTS[self.scheme]}/wsman"


def _is_latin_1(text: str) -> bool:
    return all(ord(character) < 256 for character in text)
