"""A password that no repr, log line or traceback of ours can show."""

from __future__ import annotations

import hmac
from weakref import WeakValueDictionary


class Secret:
    """Text that is shown as ``***`` everywhere; only :meth:`reveal` gives it out.

    Never deep-copied into a message: f-strings, ``repr``, ``str``, dataclass reprs and pytest's assertion
    rewriting all end in :meth:`__repr__`. Pickling is refused, since a pickle is a file that holds it in the clear.
    """

    __slots__ = ("__weakref__", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        _ALIVE[id(self)] = self

    def reveal(self) -> str:
        """The text itself; to be handed straight to the protocol that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._utf16(), other._utf16())

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> str:
        raise TypeError("A Secret cannot be pickled")

    def _utf16(self) -> bytes:
        return self._text.encode("utf-16-le", "surrogatepass")


_ALIVE: WeakValueDictionary[int, Secret] = WeakValueDictionary()


def secrets_in_use() -> frozenset[str]:
    """The texts of all secrets that this process holds, so that they can be taken out of what it writes."""
    return frozenset(secret.reveal() for secret in list(_ALIVE.values()) if secret)


NO_SECRET = Secret("")
"""The empty password."""
