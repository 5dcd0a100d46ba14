"""Fixtures around the WinRM double, and how to reach it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.winrm_target import Authentication, Scheme, WinRMTarget
from tests.psrp.loopback_certificate import write_certificate
from tests.psrp.winrm_endpoint import PASSWORD, USER, Endpoint, Plan, running

ECHO = [sys.executable, "-S", "-c", "import os\nwhile data := os.read(0, 65536): os.write(1, data)"]
COMPLAIN = [sys.executable, "-S", "-c", "import sys; sys.stderr.write('no such thing'); sys.exit(7)"]
PRINT = [
    *(sys.executable, "-S", "-c"),
    "import sys; print(*sys.argv[1:]); print('oops', file=sys.stderr); sys.exit(3)",
    "*",
]
COMMANDS = {"powershell": ECHO, "complain": COMPLAIN, "print": PRINT}
ROADS: list[tuple[Authentication, Scheme]] = [("basic", "https"), ("ntlm", "http"), ("ntlm", "https")]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with the endpoint's key and certificate, which names localhost only."""
    return write_certificate(tmp_path_factory.mktemp("certificate") / "localhost.pem", "localhost")


@pytest.fixture(scope="session")
def shared_endpoint(certificate: Path) -> Iterator[Endpoint]:
    """One endpoint for all tests that leave it as they found it."""
    with running(Plan(COMMANDS, str(certificate))) as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(shared_endpoint: Endpoint) -> Iterator[Endpoint]:
    """The endpoint, behaving; no thread of ours outlives the test."""
    before = set(threading.enumerate())
    yield shared_endpoint
    shared_endpoint.behave()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), f"{thread.name} was left behind"


def target(
    endpoint: Endpoint,
    certificate: Path | None,
    transport: Authentication = "ntlm",
    scheme: Scheme = "http",
    *,
    host: str = "localhost",
    password: str = PASSWORD,
) -> WinRMTarget:
    """How to reach the endpoint."""
    port = endpoint.https_port if scheme == "https" else endpoint.http_port
    return WinRMTarget(host, USER, Secret(password), transport, scheme, port, ca_bundle=certificate)
