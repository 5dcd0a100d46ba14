"""Everything that can go wrong on the way to a WinRM service ends in one clear error, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_hyperv.errors import HostError, HostUnreachable, SessionLost
from pytest_hyperv.psrp import winrs
from pytest_hyperv.psrp.starting import WINDOWS_POWERSHELL
from pytest_hyperv.psrp.winrm_connection import WinRMConnection
from pytest_hyperv.psrp.winrm_faults import HostNotReached
from pytest_hyperv.psrp.winrm_target import Authentication, Scheme, WinRMTarget
from pytest_hyperv.psrp.winrs import WinRSPipe, open_winrs
from tests.psrp.winrm_endpoint import Endpoint
from tests.psrp.winrm_fixtures import certificate as certificate
from tests.psrp.winrm_fixtures import endpoint as endpoint
from tests.psrp.winrm_fixtures import shared_endpoint as shared_endpoint
from tests.psrp.winrm_fixtures import target
from tests.psrp.winrm_misbehaviour import HOWS, PROCESSED, How

PATIENCE = 20.0
SHORT = 0.8
"""Seconds that a call under test is given where the service answers too late or never."""
LATE: tuple[How, ...] = ("hang", "slow", "dribble")


@pytest.fixture(autouse=True)
def hasty_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing gives a service that does not answer less time than it would."""
    monkeypatch.setattr(winrs, "_CLOSE_PATIENCE", SHORT)


@contextlib.contextmanager
def opened(
    endpoint: Endpoint, certificate: Path, transport: Authentication = "ntlm", scheme: Scheme = "http"
) -> Iterator[WinRSPipe]:
    where = target(endpoint, certificate, transport, scheme)
    with contextlib.closing(open_winrs(where, WINDOWS_POWERSHELL, timeout=PATIENCE)) as pipe:
        yield pipe


def settle(pipe: WinRSPipe) -> None:
    """Let one round trip pass."""
    pipe.send(b"settled", PATIENCE)
    assert pipe.receive(PATIENCE) == b"settled"


@pytest.mark.parametrize("operation", ["Create", "Command"])
@pytest.mark.parametrize("how", HOWS)
def test_a_bad_answer_while_opening(endpoint: Endpoint, certificate: Path, how: How, operation: str) -> None:
    before = endpoint.count()["shells"]
    endpoint.misbehave(operation, how)
    with pytest.raises(HostError, match="localhost") as caught:
        open_winrs(target(endpoint, certificate), WINDOWS_POWERSHELL, timeout=SHORT if how in LATE else PATIENCE)
    assert caught.value.host == "localhost"
    assert caught.value.hint
    if how in LATE:
        assert "did not finish in" in caught.value.message
    if operation == "Command":
        assert endpoint.count()["shells"] == before
    elif how not in PROCESSED:
        assert endpoint.count().get("shells") == before


@pytest.mark.parametrize("how", HOWS)
def test_a_bad_answer_to_a_send_loses_the_session_and_nothing_is_sent_twice(
    endpoint: Endpoint, certificate: Path, how: How
) -> None:
    with opened(endpoint, certificate) as pipe:
        settle(pipe)
        before = endpoint.count()["Send"]
        endpoint.misbehave("Send", how)
        with pytest.raises(SessionLost, match=r"powershell\.exe on localhost") as lost:
            pipe.send(b"x", SHORT if how in LATE else PATIENCE)
        assert lost.value.hint
        assert endpoint.count()["Send"] - before == 1


@pytest.mark.parametrize("how", ["garbage", "empty", "unrelated"])
def test_without_seals_too_an_answer_must_belong_to_its_request(
    endpoint: Endpoint, certificate: Path, how: How
) -> None:
    with opened(endpoint, certificate, "basic", "https") as pipe:
        settle(pipe)
        endpoint.misbehave("Send", how)
        with pytest.raises(SessionLost, match="belongs to no request of ours"):
            pipe.send(b"x", PATIENCE)


@pytest.mark.parametrize("how", [how for how in HOWS if how not in LATE])
def test_a_bad_answer_to_a_receive_ends_the_stream_with_its_reason(
    endpoint: Endpoint, certificate: Path, how: How
) -> None:
    endpoint.misbehave("Receive", how)
    with opened(endpoint, certificate) as pipe:
        with contextlib.suppress(SessionLost):  # it may have ended before
            pipe.send(b"x", PATIENCE)
        while pipe.receive(PATIENCE):
            pass
        assert "localhost" in pipe.diagnosis()
        assert "Hint: " in pipe.diagnosis()
        with pytest.raises(SessionLost, match="has ended"):
            pipe.send(b"x", PATIENCE)


@pytest.mark.parametrize("how", ["hang", "dribble"])
def test_a_receive_that_is_not_answered_leaves_the_caller_free(endpoint: Endpoint, certificate: Path, how: How) -> None:
    endpoint.misbehave("Receive", how)
    with opened(endpoint, certificate) as pipe:
        pipe.send(b"x", PATIENCE)
        assert pipe.receive(SHORT) is None


def test_a_slow_receive_loses_nothing(endpoint: Endpoint, certificate: Path) -> None:
    endpoint.misbehave("Receive", "slow")
    with opened(endpoint, certificate) as pipe:
        settle(pipe)


@pytest.mark.parametrize("how", ["reset", "truncated", "lost-reply"])
def test_a_delete_that_was_lost_is_repeated(endpoint: Endpoint, certificate: Path, how: How) -> None:
    shells = endpoint.count()["shells"]
    with opened(endpoint, certificate) as pipe:
        endpoint.misbehave("Delete", how)
    assert "localhost" not in pipe.diagnosis()
    assert endpoint.count()["shells"] == shells


@pytest.mark.parametrize("operation", ["Signal", "Delete"])
@pytest.mark.parametrize("how", HOWS)
def test_close_ends_whatever_is_answered(endpoint: Endpoint, certificate: Path, how: How, operation: str) -> None:
    pipe = open_winrs(target(endpoint, certificate), WINDOWS_POWERSHELL, timeout=PATIENCE)
    endpoint.misbehave(operation, how, times=2)
    pipe.close()
    assert "localhost" in pipe.diagnosis()
    assert pipe.receive(PATIENCE) == b""


def test_close_ends_a_send_that_hangs(endpoint: Endpoint, certificate: Path) -> None:
    endpoint.misbehave("Send", "hang")
    failures: list[SessionLost] = []

    def send(pipe: WinRSPipe) -> None:
        try:
            pipe.send(b"x", 600)
        except SessionLost as lost:
            failures.append(lost)

    shells = endpoint.count()["shells"]
    with opened(endpoint, certificate) as pipe:
        sends = endpoint.count().get("Send", 0)
        sender = threading.Thread(target=send, args=(pipe,))
        sender.start()
        while endpoint.count().get("Send", 0) == sends:
            assert pipe.receive(0.02) is None
    sender.join(PATIENCE)
    assert len(failures) == 1
    assert endpoint.count()["shells"] == shells


def test_a_dead_service_is_a_lost_session(endpoint: Endpoint, certificate: Path) -> None:
    endpoint.misbehave("any", "reset", times=1000)
    with pytest.raises(HostUnreachable):
        open_winrs(target(endpoint, certificate), WINDOWS_POWERSHELL, timeout=PATIENCE)


def test_a_refused_connection_is_tried_again_and_then_explained() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nobody = WinRMTarget("127.0.0.1", "u", scheme="http", port=port)
    with pytest.raises(HostUnreachable, match=r"127\.0\.0\.1 took no connection to open a shell") as refused:
        open_winrs(nobody, WINDOWS_POWERSHELL, timeout=PATIENCE)
    assert "Enable-PSRemoting" in refused.value.hint


def test_a_service_that_comes_up_late_is_reached(endpoint: Endpoint, certificate: Path) -> None:
    attempts: list[float] = []
    reached = WinRMConnection.call

    def late(self: WinRMConnection, what: str, action: object, timeout: float) -> object:
        attempts.append(timeout)
        if len(attempts) < 3:
            raise HostNotReached("localhost took no connection")
        return reached(self, what, action, timeout)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WinRMConnection, "call", late)
        with opened(endpoint, certificate) as pipe:
            settle(pipe)
    assert attempts[0] > attempts[1] > attempts[2]


@pytest.mark.parametrize(
    ("host", "trusted", "hint"),
    [("127.0.0.1", True, "the name that the certificate carries"), ("localhost", False, "ca_bundle")],
)
def test_a_certificate_that_does_not_fit_is_refused(
    endpoint: Endpoint, certificate: Path, host: str, trusted: bool, hint: str
) -> None:
    where = target(endpoint, certificate if trusted else None, "basic", "https", host=host)
    with pytest.raises(HostUnreachable, match=f"No TLS connection to {host} can be trusted") as refused:
        open_winrs(where, WINDOWS_POWERSHELL, timeout=PATIENCE)
    assert hint in refused.value.hint


def test_a_port_that_speaks_no_tls_says_so(endpoint: Endpoint, certificate: Path) -> None:
    plain = WinRMTarget("localhost", "u", scheme="https", port=endpoint.http_port, ca_bundle=certificate)
    with pytest.raises(HostUnreachable, match="No TLS connection") as refused:
        open_winrs(plain, WINDOWS_POWERSHELL, timeout=PATIENCE)
    assert "HTTPS port" in refused.value.hint
