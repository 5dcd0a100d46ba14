"""The WinRM double seen by clients that are not ours: pypsrp's WinRS shell and pywinrm's run_cmd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import winrm
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError

from tests.psrp.winrm_endpoint import PASSWORD, USER, Endpoint, Plan, running
from tests.psrp.winrm_fixtures import COMMANDS
from tests.psrp.winrm_fixtures import certificate as certificate
from tests.psrp.winrm_fixtures import endpoint as endpoint
from tests.psrp.winrm_fixtures import shared_endpoint as shared_endpoint
from tests.psrp.winrm_soap import ENVELOPE_TOO_LARGE, MAX_SHELLS


def pypsrp_client(endpoint: Endpoint, certificate: Path, auth: str, *, ssl: bool, password: str = PASSWORD) -> WSMan:
    port = endpoint.https_port if ssl else endpoint.http_port
    options: dict[str, Any] = {"cert_validation": str(certificate)} if ssl else {}
    return WSMan("localhost", username=USER, password=password, ssl=ssl, port=port, auth=auth, **options)


@pytest.mark.parametrize(("auth", "ssl"), [("basic", True), ("ntlm", False), ("negotiate", False), ("ntlm", True)])
def test_pypsrp_runs_a_process(endpoint: Endpoint, certificate: Path, auth: str, ssl: bool) -> None:
    with pypsrp_client(endpoint, certificate, auth, ssl=ssl) as wsman, WinRS(wsman) as shell:
        process = Process(shell, "print", ["one", "two"])
        process.invoke()
    assert (process.stdout.split(), process.stderr.strip(), process.rc) == ([b"one", b"two"], b"oops", 3)
    assert endpoint.count()["shells"] == 0


def test_pypsrp_talks_to_a_process(endpoint: Endpoint, certificate: Path) -> None:
    with pypsrp_client(endpoint, certificate, "negotiate", ssl=False) as wsman, WinRS(wsman) as shell:
        process = Process(shell, "powershell.exe", ["-s"])
        process.begin_invoke()
        process.send(b"some ", end=False)
        process.send(b"input", end=True)
        process.end_invoke()
    assert (process.stdout, process.rc) == (b"some input", 0)


def test_pypsrp_is_told_that_nothing_came(endpoint: Endpoint, certificate: Path) -> None:
    with pypsrp_client(endpoint, certificate, "ntlm", ssl=False) as wsman, WinRS(wsman) as shell:
        process = Process(shell, "powershell.exe")
        process.begin_invoke()
        process.poll_invoke(timeout=1)
        assert (process.stdout, process.rc) == (b"", None)


def test_pypsrp_is_refused_with_a_wrong_password(endpoint: Endpoint, certificate: Path) -> None:
    with (
        pypsrp_client(endpoint, certificate, "ntlm", ssl=False, password="wrong") as wsman,
        pytest.raises(AuthenticationError),
    ):
        WinRS(wsman).open()


def test_pypsrp_is_refused_too_large_an_envelope(endpoint: Endpoint, certificate: Path) -> None:
    with pypsrp_client(endpoint, certificate, "basic", ssl=True) as wsman, WinRS(wsman) as shell:
        process = Process(shell, "powershell.exe")
        process.begin_invoke()
        with pytest.raises(WSManFaultError) as refused:
            process.send(bytes(120_000))
    assert refused.value.code == ENVELOPE_TOO_LARGE


def test_messages_in_the_clear_are_refused_over_http(endpoint: Endpoint) -> None:
    wsman = WSMan(
        "localhost",
        username=USER,
        password=PASSWORD,
        ssl=False,
        port=endpoint.http_port,
        auth="ntlm",
        encryption="never",
    )
    with wsman, pytest.raises(WinRMTransportError, match="500"):
        WinRS(wsman).open()


def test_a_user_has_so_many_shells_and_no_more(certificate: Path) -> None:
    with (
        running(Plan(COMMANDS, str(certificate), max_shells=1)) as endpoint,
        pypsrp_client(endpoint, certificate, "basic", ssl=True) as wsman,
        WinRS(wsman),
    ):
        with pytest.raises(WSManFaultError, match="maximum number of 1 concurrent shells") as refused:
            WinRS(wsman).open()
        assert refused.value.code == MAX_SHELLS


@pytest.mark.parametrize(("transport", "scheme"), [("ntlm", "http"), ("basic", "https")])
def test_pywinrm_runs_a_command(endpoint: Endpoint, certificate: Path, transport: str, scheme: str) -> None:
    port = endpoint.https_port if scheme == "https" else endpoint.http_port
    session = winrm.Session(
        f"{scheme}://localhost:{port}/wsman", (USER, PASSWORD), transport=transport, ca_trust_path=str(certificate)
    )
    answer = session.run_cmd("print", ["one", "two"])
    assert (answer.std_out.split(), answer.std_err.strip(), answer.status_code) == ([b"one", b"two"], b"oops", 3)


def test_pywinrm_is_refused_with_a_wrong_password(endpoint: Endpoint) -> None:
    session = winrm.Session(
        f"http://localhost:{endpoint.http_port}/wsman", (USER, "wrong"), transport="ntlm", ca_trust_path=None
    )
    with pytest.raises(InvalidCredentialsError):
        session.run_cmd("print")
