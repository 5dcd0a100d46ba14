"""What a WinRM exchange can end in, said in the words of :mod:`pytest_hyperv.errors`.

Fault codes: the ERROR_WSMAN_* constants of the Windows SDK; quota texts: MS-WSMV 3.1.4.5.2.1.
"""

from __future__ import annotations

import ssl
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import TypeVar

import requests
from spnego.exceptions import SpnegoError
from urllib3.exceptions import HTTPError, NewConnectionError
from winrm.exceptions import (
    AuthenticationError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from pytest_hyperv.errors import AccessDenied, HostError, HostUnreachable, HypervError

SHELL_QUOTAS = (2150859173, 2150859174, 2150859175, 2150859179, 2150859236, 2150859237, 2150859238)
"""MAX_SHELLS, MAX_OPERATIONS, USER, MAX_SHELLUSERS and the per-plugin MAX_SHELLS, MAX_USERS, MAX_PLUGINSHELLS."""
SHELL_GONE = (2150858843, 995)
"""INVALID_SELECTORS (the shell was not found) and ERROR_OPERATION_ABORTED."""
_ACCESS_DENIED = 5
_NAME_MISMATCHES = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""
_TEXT_SHOWN = 300

UNREADABLE = (
    ET.ParseError,
    StopIteration,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    TypeError,
    struct.error,
    SpnegoError,
)
"""What pywinrm and its authentication let through when a reply is not what the protocol promises."""

EXCHANGE_ERRORS = (
    requests.RequestException,
    HTTPError,
    WinRMError,
    WinRMTransportError,
    WinRMOperationTimeoutError,
    OSError,
    *UNREADABLE,
)
"""Everything that one exchange can raise for reasons that lie at the other end or on the way."""


_Kind = TypeVar("_Kind", bound=BaseException)


class HostNotReached(HostUnreachable):
    """No TCP connection could be made, so nothing was sent and trying again is safe."""


class ShellGone(HostError):
    """The shell is not there any more."""


def explained(error: Exception, *, host: str, what: str, timeout: float, out_of_time: bool) -> HypervError:
    """The error of ours for what ``what`` ended in; ``out_of_time`` when its ``timeout`` seconds had passed."""
    certificate = _in_chain(error, ssl.SSLError)
    if certificate is not None:
        return _untrusted(certificate, host)
    if _in_chain(error, NewConnectionError) is not None or isinstance(error, requests.ConnectTimeout):
        return HostNotReached(
            f"{host} took no connection to {what}: {_short(error)}",
            hint="Check name and port, and that WinRM listens there (Enable-PSRemoting; winrm enumerate "
            "winrm/config/listener) and no firewall is between.",
            host=host,
        )
    if out_of_time or isinstance(error, (requests.Timeout, WinRMOperationTimeoutError)):
        return HostUnreachable(
            f"{host} did not finish in {timeout:g} s to {what}",
            hint="The host is overloaded or hangs: look at its WinRM service, or allow more time.",
            host=host,
        )
    if isinstance(error, (AuthenticationError, PermissionError)):
        return AccessDenied(
            f"{host} refused the credentials to {what}",
            hint="Check user (DOMAIN\\user or user@domain), password and that the service allows this transport "
            "(winrm get winrm/config/service/auth).",
            host=host,
        )
    if isinstance(error, WSManFaultError):
        return _faulted(error, host, what)
    if isinstance(error, WinRMTransportError):
        return HostError(
            f"{host} answered HTTP {error.code} to {what}: {error.response_text[:_TEXT_SHOWN]}",
            hint="Is this a WinRM service? Over HTTP it must accept encrypted messages.",
            host=host,
        )
    if isinstance(error, (WinRMError, *UNREADABLE)) and not isinstance(error, OSError):
        return HostError(
            f"{host} gave an answer to {what} that is not WinRM's: {type(error).__name__}: {_short(error)}",
            hint="Is this a WinRM service, with no proxy in between?",
            host=host,
        )
    return HostUnreachable(
        f"{host} broke the connection off to {what}: {_short(error)}",
        hint="The host or its WinRM service went down, or something in between dropped the connection.",
        host=host,
    )


def _faulted(fault: WSManFaultError, host: str, what: str) -> HypervError:
    text = f"{host} refused to {what}: {fault.reason.strip()[:_TEXT_SHOWN]} (fault {fault.wsman_fault_code})"
    if fault.wsman_fault_code in SHELL_QUOTAS:
        return HostError(
            text,
            hint="Close shells that are open (winrm enumerate winrm/config/winrs shows the limit), or raise "
            "MaxShellsPerUser.",
            host=host,
        )
    if fault.wsman_fault_code == _ACCESS_DENIED:
        return AccessDenied(text, hint="The account needs the right to use WinRM: Remote Management Users.", host=host)
    if fault.wsman_fault_code in SHELL_GONE:
        return ShellGone(text, hint="The shell ended on the host: open the session again.", host=host)
    return HostError(text, hint="Look the fault up with: winrm helpmsg <number>.", host=host)


def _untrusted(error: ssl.SSLError, host: str) -> HostUnreachable:
    code = getattr(error, "verify_code", None)
    reason = getattr(error, "verify_message", "") or error.reason or str(error)
    if code in _NAME_MISMATCHES:
        hint = "Use as host the name that the certificate carries, or give the service a certificate for this name."
    elif code is not None:
        hint = "Give the authority that signed it as ca_bundle, or get the service a certificate that is trusted."
    else:
        hint = "Is this the HTTPS port of a WinRM service?"
    return HostUnreachable(f"No TLS connection to {host} can be trusted: {reason}", hint=hint, host=host)


def _in_chain(error: BaseException, kind: type[_Kind]) -> _Kind | None:
    return next((link for link in _chain(error) if isinstance(link, kind)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it wraps in its arguments or as ``reason``, and its causes; each once."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:_TEXT_SHOWN]
