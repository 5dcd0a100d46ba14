"""One pywinrm Protocol whose calls have a deadline, can be cut off, and survive an idle drop."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests
import winrm.transport
from winrm.encryption import Encryption
from winrm.exceptions import InvalidCredentialsError, WinRMError, WinRMOperationTimeoutError
from winrm.protocol import Protocol
from winrm.transport import Transport

from pytest_hyperv.errors import SettingsError
from pytest_hyperv.psrp.winrm_faults import EXCHANGE_ERRORS, explained
from pytest_hyperv.psrp.winrm_sockets import Sockets
from pytest_hyperv.psrp.winrm_target import WinRMTarget

Answer = TypeVar("Answer")

POLL_SECONDS = 20
"""Seconds after which the service ends a Receive that has nothing to give, with fault 2150858793."""
_POLL_GRACE = 15.0
"""Seconds that the answer to a Receive may come later than that."""
_MESSAGE_ID = re.compile(rb"MessageID[^>]*>\s*uuid:([-0-9A-Fa-f]+)")
_RELATES_TO = re.compile(rb"RelatesTo[^>]*>\s*uuid:([-0-9A-Fa-f]+)")
_HEADER_SIZE = 8192
_SEALING = ("ntlm", "kerberos", "credssp")


class WinRMConnection:
    """The exchanges of one thread at a time with one service.

    pywinrm's Protocol is not thread-safe under message encryption, so sending and receiving have one of these each.
    Raises SettingsError when the package that the target's transport needs is not installed.
    """

    def __init__(self, target: WinRMTarget) -> None:
        _require_package(target.transport)
        self._target = target
        self._seals = target.scheme == "http" and target.transport in _SEALING
        self._sockets = Sockets()
        self._proven = False
        self._protocol = _protocol(target, self._sockets)

    @property
    def requests_made(self) -> int:
        """How many HTTP requests have gone out, those of authentication included."""
        return self._sockets.requests_made

    def call(self, what: str, action: Callable[[Protocol], Answer], timeout: float) -> Answer:
        """Run one WinRM operation within ``timeout`` seconds; ``what`` completes "to ..." in messages.

        Raises what :func:`~pytest_hyperv.psrp.winrm_faults.explained` makes of a failure. An operation is repeated
        only when the service refused it unread, because its connection was no longer authenticated.
        """
        deadline = time.monotonic() + timeout
        alarm = threading.Timer(timeout, self._sockets.cut)
        alarm.daemon = True
        alarm.start()
        try:
            return self._exchange(action, deadline, min(POLL_SECONDS, timeout))
        except EXCHANGE_ERRORS as error:
            late = time.monotonic() >= deadline
            raise explained(error, host=self._target.host, what=what, timeout=timeout, out_of_time=late) from error
        finally:
            alarm.cancel()

    def poll(self, what: str, action: Callable[[Protocol], Answer]) -> Answer | None:
        """Run a Receive; None when the service had nothing to give in POLL_SECONDS.

        That is the one case in which MS-WSMV 3.1.4.14 tells the client to issue it again. Errors as of :meth:`call`.
        """
        patience = POLL_SECONDS + _POLL_GRACE
        try:
            return self._exchange(action, time.monotonic() + patience, POLL_SECONDS)
        except WinRMOperationTimeoutError:
            return None
        except EXCHANGE_ERRORS as error:
            raise explained(error, host=self._target.host, what=what, timeout=patience, out_of_time=False) from error

    def cut(self) -> None:
        """From any thread: break the TCP connections, so that the call under way fails now."""
        self._sockets.cut()

    def close(self) -> None:
        """Close the TCP connections, and forget their authentication; a later call makes new ones."""
        self._protocol.transport.close_session()
        self._protocol.transport.encryption = None

    def _exchange(self, action: Callable[[Protocol], Answer], deadline: float, operation_timeout: float) -> Answer:
        self._sockets.deadline = deadline
        self._protocol.operation_timeout_sec = max(1, int(operation_timeout))
        if self._seals and self._sockets.newest_dropped():
            # NTLM, Kerberos and CredSSP authenticate one TCP connection: what is sealed for it fits no other.
            self.close()
        try:
            answer = self._attempt(action)
        except InvalidCredentialsError:
            if not self._proven:
                raise
            self.close()
            answer = self._attempt(action)
        self._proven = True
        return answer

    def _attempt(self, action: Callable[[Protocol], Answer]) -> Answer:
        try:
            return action(self._protocol)
        except EXCHANGE_ERRORS:
            if self._seals and self._protocol.transport.encryption is None:
                # pywinrm keeps a session whose authentication failed and would send the next message unsealed.
                self.close()
            raise


class _WatchedTransport(Transport):
    """pywinrm's transport over connections that ``sockets`` knows, which takes no answer that belongs to no request.

    pywinrm looks at what a Send is answered with as little as at whether an answer was sealed: a proxy's page, or
    anyone's word on the way, would pass for success.
    """

    def __init__(self, sockets: Sockets, **options: Any) -> None:
        super().__init__(**options)
        self._sockets = sockets

    def build_session(self) -> requests.Session:
        session = super().build_session()
        self._sockets.watch(session, self.endpoint)
        return session

    def setup_encryption(self, session: requests.Session) -> None:
        self._sockets.watch(session, self.endpoint)
        super().setup_encryption(session)
        self.encryption = _StrictEncryption(session, self.auth_method)

    def send_message(self, message: str | bytes) -> bytes:
        answer = super().send_message(message)
        asked = _MESSAGE_ID.search(message if isinstance(message, bytes) else message.encode())
        related = _RELATES_TO.search(answer[:_HEADER_SIZE])
        if asked is None or related is None or asked[1].lower() != related[1].lower():
            raise WinRMError("it belongs to no request of ours")
        return answer


class _StrictEncryption(Encryption):
    """pywinrm's sealing, which takes no unsealed success."""

    def parse_encrypted_response(self, response: requests.Response) -> bytes:
        if response.ok and self.protocol_string.decode() not in response.headers.get("Content-Type", ""):
            raise WinRMError("it is not sealed, and this session's messages are")
        return super().parse_encrypted_response(response)


def _protocol(target: WinRMTarget, sockets: Sockets) -> Protocol:
    options: dict[str, Any] = {
        "endpoint": target.endpoint,
        "username": target.user or None,
        "password": target.password.reveal(),
        "ca_trust_path": str(target.ca_bundle) if target.ca_bundle else None,
        "cert_pem": str(target.certificate) if target.certificate else None,
        "cert_key_pem": str(target.certificate_key) if target.certificate_key else None,
        "server_cert_validation": "validate" if target.verify else "ignore",
        "message_encryption": "always" if target.scheme == "http" and target.transport in _SEALING else "auto",
        "proxy": None,
    }
    protocol = Protocol(transport=target.transport, **options)
    protocol.transport = _WatchedTransport(sockets, auth_method=target.transport, service="HTTP", **options)
    return protocol


def _require_package(transport: str) -> None:
    present = {
        "ntlm": winrm.transport.HAVE_NTLM,
        "kerberos": winrm.transport.HAVE_KERBEROS,
        "credssp": winrm.transport.HAVE_CREDSSP,
    }
    if not present.get(transport, True):
        raise SettingsError(
            f"WinRM with {transport} needs a package that is not installed", hint=f"pip install pywinrm[{transport}]"
        )
