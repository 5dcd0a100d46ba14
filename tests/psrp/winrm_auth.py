"""How a WinRM service knows who asks: Basic, a client certificate, or NTLM (alone or in Negotiate).

NTLM seals the messages over HTTP (MS-WSMV 2.2.9.1).
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass

import spnego
from spnego.exceptions import SpnegoError

SEALED_TYPE = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
MUTUAL_CERTIFICATES = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
"""The Authorization header of a client that has shown a certificate (DSP0226, security profiles)."""
_BOUNDARY = b"--Encrypted Boundary"
_PAYLOAD = b"\tContent-Type: application/octet-stream\r\n"


class Unreadable(Exception):
    """A sealed message does not open with this connection's context."""


@dataclass(frozen=True)
class Account:
    """The one account of the service."""

    user: str
    password: str


class Login:
    """The authentication of one TCP connection."""

    def __init__(self, account: Account, *, basic: bool) -> None:
        self._account = account
        self._basic = basic
        self._context: spnego.ContextProxy | None = None

    @property
    def challenges(self) -> list[str]:
        """The WWW-Authenticate headers for one who has shown nothing yet."""
        return ["Negotiate", *(['Basic realm="WSMAN"'] if self._basic else [])]

    def check(self, authorization: str | None, *, certified: bool) -> tuple[bool, list[str]]:
        """Whether the request may pass, and the WWW-Authenticate headers to answer with.

        ``certified`` tells that the client showed a certificate that the service trusts.
        """
        if authorization is None:
            return self._established(), [] if self._established() else self.challenges
        if authorization == MUTUAL_CERTIFICATES:
            return certified, [] if certified else self.challenges
        scheme, _, value = authorization.partition(" ")
        if scheme == "Basic" and self._basic:
            return self._basic_matches(value), self.challenges
        if scheme in ("Negotiate", "NTLM"):
            return self._negotiate(scheme, value)
        return False, self.challenges

    def forget(self) -> None:
        """Be unauthenticated again."""
        self._context = None

    def unseal(self, body: bytes) -> bytes:
        """Open a sealed message; raises Unreadable."""
        head, _, payload = body.partition(_PAYLOAD)
        length = re.search(rb"Length=(\d+)", head)
        payload = payload.removesuffix(_BOUNDARY + b"--\r\n")
        if length is None or len(payload) < 4 or self._context is None or not self._context.complete:
            raise Unreadable("no sealed message, or no context to open it with")
        signature_size = struct.unpack("<i", payload[:4])[0]
        signature, data = payload[4 : 4 + signature_size], payload[4 + signature_size :]
        try:
            message = self._context.unwrap_winrm(signature, data)
        except SpnegoError as error:
            raise Unreadable(str(error)) from error
        if len(message) != int(length[1]):
            raise Unreadable(f"{len(message)} bytes where {length[1].decode()} were announced")
        return message

    def seal(self, message: bytes) -> bytes:
        """Close a message for the other end of this connection."""
        assert self._context is not None
        wrapped = self._context.wrap_winrm(message)
        return b"".join(
            (
                _BOUNDARY + b"\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n",
                b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;",
                f"Length={len(message) + wrapped.padding_length}\r\n".encode(),
                _BOUNDARY + b"\r\n" + _PAYLOAD,
                struct.pack("<i", len(wrapped.header)) + wrapped.header + wrapped.data,
                _BOUNDARY + b"--\r\n",
            )
        )

    def _established(self) -> bool:
        return self._context is not None and self._context.complete

    def _basic_matches(self, value: str) -> bool:
        """Clients send Latin-1 (requests) or UTF-8; RFC 7617 leaves it open."""
        try:
            given = base64.b64decode(value, validate=True)
        except binascii.Error:
            return False
        wanted = f"{self._account.user}:{self._account.password}"
        return given in (wanted.encode("latin-1"), wanted.encode("utf-8"))

    def _negotiate(self, scheme: str, value: str) -> tuple[bool, list[str]]:
        token = base64.b64decode(value)
        if self._context is None or self._context.complete:
            options = spnego.NegotiateOptions
            if token.startswith(b"NTLMSSP\0"):
                self._context = spnego.server(protocol="ntlm", options=options.use_ntlm)
            else:
                self._context = spnego.server(protocol="negotiate", options=options.use_negotiate)
        try:
            answer = self._context.step(token)
        except SpnegoError:
            self._context = None
            return False, self.challenges
        back = f"{scheme} {base64.b64encode(answer).decode()}" if answer else scheme
        return self._context.complete, [back]
