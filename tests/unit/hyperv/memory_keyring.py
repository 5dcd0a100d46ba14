"""A backend of the keyring package that keeps one password, for the tests of credentials."""

from __future__ import annotations

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordSetError

SERVICE, USER, PASSWORD = "lab", "Administrator", "Kept-Pa55"


class OnePassword(KeyringBackend):
    """Knows one password; the service "locked" cannot be asked."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        """The password of that user."""
        if service == "locked":
            raise KeyringLocked(PASSWORD)
        known = {(SERVICE, USER), ("pytest-hyperv:hv01", r"LAB\admin")}
        return PASSWORD if (service, username) in known else None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Nothing is kept."""
        raise PasswordSetError(service, username, password)
