"""PowerShell Direct's version, credential and token exchange, both sides, as state machines without I/O.

Facts: RemoteSessionHyperVSocket.cs of PowerShell (ExchangeCredentialsAndConfiguration,
PerformTransportVersionAndTokenExchange, ValidateToken), confirmed by recordings of that code. Nothing has a length
prefix: one send is one receive. Domain, user, password and configuration name are UTF-16LE, the rest is ASCII;
a reply may end in NULs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pytest_hyperv.errors import AccessDenied, HypervError, SessionLost
from pytest_hyperv.psrp.secret import Secret

NEWEST_VERSION = 2
TOKEN_LIFETIME = 600.0
"""Seconds for which a token opens the second connection."""
LEGACY_PROBE_USER = "?<PSDirectVMLegacy>"
"""A user name that no Windows can have; ends the conversation with a broker of version 1 (20 characters at most)."""

_VERSION_REQUEST = b"VERSION"
_VERSION_PREFIX = b"VERSION_"
_PASS, _FAIL, _CONF = b"PASS", b"FAIL", b"CONF"
_TOKEN_PREFIX = b"TOKEN "
_WORDS = re.compile(r"PASS|FAIL|CONF|VERSION(_\d{1,9})?|(NON)?EMPTY(PW|CF)")

Outcome = TypeVar("Outcome")
Script = Generator[bytes, bytes, "Ending[Outcome]"]


@dataclass(frozen=True)
class Login:
    """Who opens the session. An empty ``domain`` means the guest's own accounts and travels as ``localhost``."""

    user: str
    password: Secret
    domain: str = ""
    configuration: str = ""


@dataclass(frozen=True)
class Token:
    """What a broker of version 2 gives for the second connection; ``issued`` is the giver's clock in seconds."""

    text: str = field(repr=False)
    issued: float = 0.0


@dataclass(frozen=True)
class Opened:
    """The broker took the login. Without a token (version 1) the second connection starts with PSRP at once."""

    version: int
    token: Token | None = None


@dataclass(frozen=True)
class Downgrade:
    """The broker does not know versions: speak version 1 on a new connection, or refuse to."""

    reply: str


@dataclass(frozen=True)
class Ending(Generic[Outcome]):
    """How a conversation ends: last bytes to send (no answer follows), and its outcome or its error."""

    farewell: bytes = b""
    outcome: Outcome | None = None
    error: HypervError | None = None


class Conversation(Generic[Outcome]):
    """One side of a handshake. Give :meth:`take` the bytes of each receive; send what it returns, if anything.

    The first call is :meth:`begin`. An empty receive means that the other side closed the connection.
    """

    def __init__(self, script: Script[Outcome]) -> None:
        self._script = script
        self._ending: Ending[Outcome] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be received."""
        return self._ending is not None

    def begin(self) -> bytes:
        """What to send before anything was received; empty on the side that waits."""
        return self._advance(None)

    def take(self, received: bytes) -> bytes:
        """Answer the bytes of one receive; empty when nothing is to be sent."""
        return self._advance(received)

    def result(self) -> Outcome:
        """The outcome of a finished conversation; raises AccessDenied or SessionLost when it failed."""
        if self._ending is None:
            raise SessionLost("The PowerShell Direct handshake must be finished to have a result, it is under way")
        if self._ending.error is not None:
            raise self._ending.error
        assert self._ending.outcome is not None
        return self._ending.outcome

    def _advance(self, received: bytes | None) -> bytes:
        try:
            return next(self._script) if received is None else self._script.send(received)
        except StopIteration as stop:
            ending: Ending[Outcome] = stop.value
        except HypervError as error:
            ending = Ending(error=error)
        self._ending = ending
        return ending.farewell


def broker_client(login: Login, *, version: int = NEWEST_VERSION) -> Conversation[Opened | Downgrade]:
    """The first connection, our side. ``version`` 1 skips the version exchange.

    Ends as Opened, as Downgrade (version 2 met a broker of version 1), or in AccessDenied or SessionLost.
    """
    return Conversation(_broker_client(login, version))


def token_client(token: Token) -> Conversation[int]:
    """The second connection, our side, version 2 only; ends as the version that the server announced."""
    return Conversation(_token_client(token))


def broker_server(
    accept: Callable[[Login], Token | None], *, version: int = NEWEST_VERSION, confirm: bytes = _CONF
) -> Conversation[Login]:
    """The first connection, the guest's side. ``accept`` returns a token for a good login and None for a bad one.

    ``confirm`` is what a broker of version 1 says to a good password: CONF, or PASS when it knows no configurations.
    """
    return Conversation(_broker_server(accept, version, confirm))


def token_server(token: Token, *, now: float) -> Conversation[str]:
    """The second connection, the guest's side, at second ``now`` of the clock of ``token``.

    Ends as the version that the client announced, which is not checked, as the vendor's server does not either;
    an expired token ends without a word.
    """
    return Conversation(_token_server(token, now))


def _broker_client(login: Login, version: int) -> Script[Opened | Downgrade]:
    if version >= 2:
        announced = yield _VERSION_REQUEST
        if not announced:
            raise _lost(announced, "the version")
        if not announced.startswith(_VERSION_PREFIX):
            return (yield from _leave_version_1(_shown(announced)))
        yield from _agreed(_version_line(version), f"our version {version} (it had announced {_shown(announced)})")
    yield from _agreed(_utf16(login.domain or "localhost"), "the domain")
    yield from _agreed(_utf16(login.user), "the user name")
    if login.password:
        yield from _agreed(b"NONEMPTYPW", "that a password follows")
    verdict = yield _utf16(login.password.reveal()) if login.password else b"EMPTYPW"
    if _plain(verdict) == "FAIL":
        return Ending(farewell=_FAIL, error=_denied(login))
    if _plain(verdict) not in ("CONF", "PASS"):
        raise _lost(verdict, "the password")
    last = _PASS
    if _plain(verdict) == "CONF":
        last = b"EMPTYCF"
        if login.configuration:
            yield from _agreed(b"NONEMPTYCF", "that a configuration name follows")
            last = _utf16(login.configuration)
    if version < 2:
        return Ending(farewell=last, outcome=Opened(1))
    reply = yield last
    if not reply.startswith(_TOKEN_PREFIX):
        raise _lost(reply, "the configuration, where a token was due")
    return Ending(farewell=_PASS, outcome=Opened(version, Token(_plain(reply).removeprefix(_TOKEN_PREFIX.decode()))))


def _leave_version_1(first_reply: str) -> Script[Opened | Downgrade]:
    """A broker of version 1 took VERSION for a domain: end its conversation with a user that cannot exist."""
    yield _utf16(LEGACY_PROBE_USER)
    yield b"EMPTYPW"
    return Ending(farewell=_FAIL, outcome=Downgrade(first_reply))


def _agreed(line: bytes, what: str) -> Generator[bytes, bytes, None]:
    """Send ``line`` and demand PASS."""
    reply = yield line
    if _plain(reply) != "PASS":
        raise _lost(reply, what)


def _token_client(token: Token) -> Script[int]:
    announced = yield _VERSION_REQUEST
    number = _plain(announced).removeprefix(_VERSION_PREFIX.decode())
    if not announced.startswith(_VERSION_PREFIX) or not number.isdecimal():
        raise _lost(announced, "the version, on the session's connection")
    yield from _agreed(_version_line(NEWEST_VERSION), f"our version {NEWEST_VERSION} (it had announced {number})")
    verdict = yield _TOKEN_PREFIX + token.text.encode("ascii")
    if _plain(verdict) != "PASS":
        raise AccessDenied(
            f"The guest refused the session's token: we speak version {NEWEST_VERSION}, it announced {number}",
            hint="A token lives 10 minutes: open the session again.",
            host="guest",
        )
    return Ending(outcome=int(number))


def _broker_server(accept: Callable[[Login], Token | None], version: int, confirm: bytes) -> Script[Login]:
    received = yield b""
    if version >= 2:
        if received != _VERSION_REQUEST:
            return Ending(farewell=_FAIL, error=_lost(received, "nothing yet, where VERSION was due"))
        received = yield _version_line(version)
        if not received.startswith(_VERSION_PREFIX):
            return Ending(farewell=_FAIL, error=_lost(received, "our version"))
        received = yield _PASS
    domain = _from_utf16(received)
    user = _from_utf16((yield _PASS))
    received = yield _PASS
    password = ""
    if received == b"NONEMPTYPW":
        password = _from_utf16((yield _PASS))
    elif received != b"EMPTYPW":
        return Ending(farewell=_FAIL, error=_lost(received, "the user name"))
    login = Login(user, Secret(password), domain)
    token = accept(login)
    if token is None:
        yield _FAIL
        return Ending(error=_denied(login))
    received = yield confirm if version < 2 else _CONF
    configuration = ""
    if received == b"NONEMPTYCF":
        configuration = _from_utf16((yield _PASS))
    elif received not in (b"EMPTYCF", _PASS):
        raise _lost(received, "that the password is good")
    if version >= 2:
        received = yield _TOKEN_PREFIX + token.text.encode("ascii")
        if received != _PASS:
            raise _lost(received, "the token")
    return Ending(outcome=Login(user, login.password, domain, configuration))


def _token_server(token: Token, now: float) -> Script[str]:
    received = yield b""
    if received != _VERSION_REQUEST:
        return Ending(farewell=_FAIL if received else b"", error=_lost(received, "nothing yet, where VERSION was due"))
    if now - token.issued > TOKEN_LIFETIME:
        raise AccessDenied("The session's token has expired", host="guest")
    announced = yield _version_line(NEWEST_VERSION)
    if not announced.startswith(_VERSION_PREFIX):
        return Ending(farewell=_FAIL, error=_lost(announced, "our version"))
    received = yield _PASS
    if Secret(received.decode("ascii", "replace")) != Secret(_TOKEN_PREFIX.decode() + token.text):
        wrong = AccessDenied("The session's token is not the one that was given", host="guest")
        return Ending(farewell=_FAIL, error=wrong)
    return Ending(farewell=_PASS, outcome=_plain(announced))


def _version_line(version: int) -> bytes:
    return _VERSION_PREFIX + str(version).encode("ascii")


def _plain(reply: bytes) -> str:
    return reply.rstrip(b"\0").decode("ascii", "backslashreplace")


def _shown(reply: bytes) -> str:
    """A reply for a message: a word of the protocol, and of anything else, which may be a secret, only the size."""
    text = _plain(reply)
    return repr(text) if _WORDS.fullmatch(text) else f"{len(reply)} bytes that are none of its words"


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _from_utf16(received: bytes) -> str:
    return received.decode("utf-16-le", "replace")


def _denied(login: Login) -> AccessDenied:
    account = f"{login.domain or 'localhost'}\\{login.user}"
    return AccessDenied(
        f"The guest refused the credential of {account}",
        hint="Check user, domain and password; while a guest boots for the first time a good credential can be "
        "refused too, then open again a little later.",
        host="guest",
    )


def _lost(reply: bytes, asked: str) -> SessionLost:
    said = f"answered {_shown(reply)}" if reply else "closed the connection"
    return SessionLost(
        f"PowerShell Direct: the other side {said} to {asked}; we speak versions {NEWEST_VERSION} and 1",
        hint="Bring host and guest to the same patch level; while the guest boots, try again.",
    )
