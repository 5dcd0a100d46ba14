"""Opening a session through WinRM, started again when PowerShell died at its start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_hyperv.errors import AccessDenied, SessionLost
from pytest_hyperv.psrp.calls import Command
from pytest_hyperv.psrp.remote import open_remote
from tests.psrp.roads import peer_argv
from tests.psrp.winrm_endpoint import Plan, running
from tests.psrp.winrm_fixtures import COMPLAIN, target
from tests.psrp.winrm_fixtures import certificate as certificate

DIES_ONCE = """
import os, pathlib, sys
marker = pathlib.Path(sys.argv[1])
if not marker.exists():
    marker.touch()
    sys.exit("access violation")
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_session_is_open_and_knows_its_host(certificate: Path) -> None:
    with (
        running(Plan({"powershell": peer_argv()}, str(certificate))) as endpoint,
        open_remote(target(endpoint, certificate), timeout=20) as session,
    ):
        assert session.host == "localhost"
        assert session.run(Command("Write-Output", InputObject="there")).one == "there"


@pytest.mark.skipif(sys.platform == "win32", reason="os.execv does not keep the process on Windows")
def test_a_powershell_that_dies_at_its_start_is_started_again(certificate: Path, tmp_path: Path) -> None:
    dies_once = [sys.executable, "-c", DIES_ONCE, str(tmp_path / "died"), *peer_argv()]
    with running(Plan({"powershell": dies_once}, str(certificate))) as endpoint:
        with open_remote(target(endpoint, certificate), timeout=20) as session:
            assert session.run(Command("Write-Output", InputObject=1)).one == 1
        assert (endpoint.count()["Create"], endpoint.count()["shells"]) == (2, 0)


def test_one_that_always_dies_is_a_lost_session_that_says_why(certificate: Path) -> None:
    with running(Plan({"powershell": COMPLAIN}, str(certificate))) as endpoint:
        with pytest.raises(SessionLost, match="no such thing"):
            open_remote(target(endpoint, certificate), timeout=20, attempts=2)
        assert (endpoint.count()["Create"], endpoint.count()["shells"]) == (2, 0)


def test_a_wrong_password_is_not_tried_again(certificate: Path) -> None:
    with running(Plan({"powershell": peer_argv()}, str(certificate))) as endpoint:
        with pytest.raises(AccessDenied):
            open_remote(target(endpoint, certificate, password="wrong"), timeout=20)
        assert endpoint.count()["http"] == 3
