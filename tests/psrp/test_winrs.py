"""The WinRS pipe against a WinRM service that runs as a program."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_hyperv.errors import AccessDenied, HostError, SessionLost
from pytest_hyperv.psrp import winrm_connection, winrs
from pytest_hyperv.psrp.starting import WINDOWS_POWERSHELL
from pytest_hyperv.psrp.winrm_target import Authentication, Scheme, WinRMTarget
from pytest_hyperv.psrp.winrs import SEND_SIZE, WinRSPipe, open_winrs
from tests.psrp.reading import PATIENCE, read_exactly
from tests.psrp.winrm_endpoint import Endpoint, Plan, running
from tests.psrp.winrm_fixtures import COMMANDS, ROADS, target
from tests.psrp.winrm_fixtures import certificate as certificate
from tests.psrp.winrm_fixtures import endpoint as endpoint
from tests.psrp.winrm_fixtures import shared_endpoint as shared_endpoint


@contextlib.contextmanager
def opened(
    endpoint: Endpoint, certificate: Path, transport: Authentication = "ntlm", scheme: Scheme = "http", *command: str
) -> Iterator[WinRSPipe]:
    where = target(endpoint, certificate, transport, scheme)
    pipe = open_winrs(where, command or WINDOWS_POWERSHELL, timeout=PATIENCE)
    with contextlib.closing(pipe):
        yield pipe


def echoes(pipe: WinRSPipe, data: bytes) -> bool:
    pipe.send(data, PATIENCE)
    return read_exactly(pipe, len(data)) == data


def until_a_receive_waits(endpoint: Endpoint, pipe: WinRSPipe) -> None:
    """Wait until only the sender's connection is idle."""
    while endpoint.count()["receives waiting"] == 0:
        assert pipe.receive(0.01) is None


@pytest.mark.parametrize(("transport", "scheme"), ROADS)
def test_bytes_pass_both_ways(endpoint: Endpoint, certificate: Path, transport: Authentication, scheme: Scheme) -> None:
    with opened(endpoint, certificate, transport, scheme) as pipe:
        assert pipe.name == "powershell.exe on localhost (WinRS)"
        assert echoes(pipe, b"<Data/>\n")
        assert echoes(pipe, bytes(range(256)))


def test_a_client_certificate_is_enough(endpoint: Endpoint, certificate: Path) -> None:
    where = WinRMTarget(
        "localhost",
        transport="certificate",
        port=endpoint.https_port,
        ca_bundle=certificate,
        certificate=certificate,
        certificate_key=certificate,
    )
    with contextlib.closing(open_winrs(where, WINDOWS_POWERSHELL, timeout=PATIENCE)) as pipe:
        assert echoes(pipe, b"certified")


def test_a_round_trip_is_two_requests(endpoint: Endpoint, certificate: Path) -> None:
    with opened(endpoint, certificate) as pipe:
        assert echoes(pipe, b"settled")
        before = endpoint.count()["http"]
        for _ in range(20):
            assert echoes(pipe, b"line\n")
        assert endpoint.count()["http"] - before <= 2 * 20 + 1


def test_much_data_goes_in_sends_that_fit_the_envelope(endpoint: Endpoint, certificate: Path) -> None:
    data = bytes(range(256)) * 4096
    with opened(endpoint, certificate, "basic", "https") as pipe:
        before = endpoint.count().get("Send", 0)
        reader = threading.Thread(target=lambda: echoed.append(read_exactly(pipe, len(data))))
        echoed: list[bytes] = []
        reader.start()
        pipe.send(data, PATIENCE)
        reader.join(PATIENCE)
        assert echoed == [data]
        assert endpoint.count()["Send"] - before == -(-len(data) // SEND_SIZE)


def test_sending_while_receiving_keeps_sealed_messages_apart(endpoint: Endpoint, certificate: Path) -> None:
    lines = [b"%06d\n" % number for number in range(200)]
    with opened(endpoint, certificate, "ntlm", "http") as pipe:

        def send_all() -> None:
            for line in lines:
                pipe.send(line, PATIENCE)

        sender = threading.Thread(target=send_all)
        sender.start()
        assert read_exactly(pipe, 7 * len(lines)) == b"".join(lines)
        sender.join(PATIENCE)


def test_receive_says_none_when_nothing_came(endpoint: Endpoint, certificate: Path) -> None:
    with opened(endpoint, certificate) as pipe:
        assert pipe.receive(0.05) is None


def test_a_receive_that_brought_nothing_is_issued_again(
    endpoint: Endpoint, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winrm_connection, "POLL_SECONDS", 1)
    with opened(endpoint, certificate) as pipe:
        before = endpoint.count().get("Receive", 0)
        while endpoint.count()["Receive"] < before + 2:
            assert pipe.receive(0.1) is None
        assert echoes(pipe, b"still here")


def test_an_exit_ends_the_stream_and_leaves_its_reason(endpoint: Endpoint, certificate: Path) -> None:
    with opened(endpoint, certificate, "ntlm", "http", "complain") as pipe:
        assert pipe.receive(PATIENCE) == b""
        assert pipe.diagnosis() == "stderr: no such thing; exit code 7"
        with pytest.raises(SessionLost, match="no such thing; exit code 7"):
            pipe.send(b"x", PATIENCE)


def send_until_lost(pipe: WinRSPipe) -> None:
    while True:
        pipe.send(b"x", PATIENCE)


def test_a_send_that_an_ended_process_cannot_take_says_why_it_ended(
    endpoint: Endpoint, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winrs, "_LAST_WORDS", PATIENCE)
    endpoint.misbehave("Receive", "slow")
    with (
        opened(endpoint, certificate, "ntlm", "http", "complain") as pipe,
        pytest.raises(SessionLost, match="no such thing; exit code 7"),
    ):
        send_until_lost(pipe)


@pytest.mark.parametrize(("transport", "scheme"), ROADS)
def test_an_idle_drop_is_survived_by_the_same_shell(
    endpoint: Endpoint, certificate: Path, transport: Authentication, scheme: Scheme
) -> None:
    with opened(endpoint, certificate, transport, scheme) as pipe:
        assert echoes(pipe, b"before")
        before = endpoint.count()
        for _ in range(3):
            until_a_receive_waits(endpoint, pipe)
            while endpoint.drop_idle() == 0:
                assert pipe.receive(0.01) is None
            assert echoes(pipe, b"after")
        after = endpoint.count()
        assert after["Create"] == before["Create"]
        assert after.get("unreadable") == before.get("unreadable")


def test_a_request_refused_unread_is_sent_once_more(endpoint: Endpoint, certificate: Path) -> None:
    with opened(endpoint, certificate, "ntlm", "http") as pipe:
        assert echoes(pipe, b"before")
        before = endpoint.count()["Send"]
        until_a_receive_waits(endpoint, pipe)
        endpoint.forget_logins()
        assert echoes(pipe, b"after")
        assert endpoint.count()["Send"] - before == 1


def test_close_ends_process_shell_and_waiting_receive(endpoint: Endpoint, certificate: Path) -> None:
    with opened(endpoint, certificate) as pipe:
        heard: list[bytes | None] = []
        waiting = threading.Thread(target=lambda: heard.append(pipe.receive(PATIENCE)))
        waiting.start()
        assert endpoint.count()["processes"] == 1
        pipe.close()
        waiting.join(PATIENCE)
        assert heard == [b""]
        assert pipe.receive(PATIENCE) == b""
        assert (endpoint.count()["shells"], endpoint.count()["processes"]) == (0, 0)
        pipe.close()
        with pytest.raises(SessionLost, match="must be running"):
            pipe.send(b"x", PATIENCE)


def test_a_reader_that_lags_does_not_fill_the_memory(
    endpoint: Endpoint, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winrs, "_BUFFERED", 1000)
    with opened(endpoint, certificate, "basic", "https") as pipe:
        until_a_receive_waits(endpoint, pipe)
        pipe.send(bytes(5000), PATIENCE)
        while endpoint.count()["receives waiting"]:
            pass
        pipe.send(bytes(5000), PATIENCE)
        assert [endpoint.count()["receives waiting"] for _ in range(20)] == [0] * 20
        assert read_exactly(pipe, 10_000) == bytes(10_000)


def test_the_environments_proxy_is_not_asked(
    endpoint: Endpoint, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with opened(endpoint, certificate) as pipe:
        assert echoes(pipe, b"direct")


def test_a_used_up_quota_of_shells_says_so(certificate: Path) -> None:
    with running(Plan(COMMANDS, str(certificate), max_shells=1)) as endpoint, opened(endpoint, certificate):
        with pytest.raises(HostError, match="maximum number of 1 concurrent shells") as refused:
            open_winrs(target(endpoint, certificate), WINDOWS_POWERSHELL, timeout=PATIENCE)
        assert "MaxShellsPerUser" in refused.value.hint


def test_a_program_that_does_not_start_leaves_no_shell(endpoint: Endpoint, certificate: Path) -> None:
    with pytest.raises(HostError, match=r"refused to start nonsense.exe: The system cannot find") as refused:
        open_winrs(target(endpoint, certificate), ["nonsense.exe"], timeout=PATIENCE)
    assert refused.value.hint
    assert endpoint.count()["shells"] == 0


@pytest.mark.parametrize(("transport", "scheme"), ROADS)
def test_a_wrong_password_is_access_denied(
    endpoint: Endpoint, certificate: Path, transport: Authentication, scheme: Scheme
) -> None:
    wrong = target(endpoint, certificate, transport, scheme, password="hunter2")
    with pytest.raises(AccessDenied, match="localhost refused the credentials to open a shell") as denied:
        open_winrs(wrong, WINDOWS_POWERSHELL, timeout=PATIENCE)
    assert denied.value.hint
    link: BaseException | None = denied.value
    while link is not None:
        assert "hunter2" not in f"{link!s} {link!r}"
        link = link.__cause__ or link.__context__


def test_a_failed_login_is_never_followed_by_a_message_in_the_clear(endpoint: Endpoint, certificate: Path) -> None:
    before = endpoint.count().get("in the clear")
    connection = winrm_connection.WinRMConnection(target(endpoint, certificate, password="hunter2"))
    for _ in range(2):
        with pytest.raises(AccessDenied):
            connection.call("open a shell", lambda protocol: protocol.open_shell(), PATIENCE)
    assert endpoint.count().get("in the clear") == before
