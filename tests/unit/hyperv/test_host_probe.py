"""Probing and diagnosing the simulated host, which binds every command against the contract of its Windows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.backends.hyperv.credentials import Credential
from pytest_hyperv.backends.hyperv.offer import capabilities, check_usable, host_facts, prerequisites
from pytest_hyperv.backends.hyperv.probe import HypervFacts, probe
from pytest_hyperv.backends.hyperv.roads import open_host_session
from pytest_hyperv.capabilities import NAMES, HostFacts
from pytest_hyperv.cli import main
from pytest_hyperv.errors import AccessDenied, CapabilityMissing, HostUnreachable
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.starting import ATTEMPTS
from pytest_hyperv.spec import GIB
from tests.hvsim.creation import make_host
from tests.hvsim.host.faults import Fault, plan_fault
from tests.hvsim.host.options import HostOptions
from tests.psrp.winrm_endpoint import PASSWORD, USER, Plan, running
from tests.psrp.winrm_fixtures import certificate as certificate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the simulated host's launcher is a shell script")

BUILDS = {"2019": 17763, "2022": 20348, "2025": 26100}


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PYTEST_HYPERV_POWERSHELL", raising=False)
    monkeypatch.setenv("PYTEST_HYPERV_CACHE", str(tmp_path / "cache"))


def host(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """A simulated host whose powershell.exe is the one on PATH."""
    launcher = make_host(folder / "host", HostOptions(**options))
    monkeypatch.setenv("PATH", f"{launcher.parent}:/usr/bin:/bin")


def probed(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> HypervFacts:
    host(folder, monkeypatch, **options)
    with open_host_session(HostAddress(), timeout=30) as session:
        return probe(session, "local")


def absent(facts: HypervFacts) -> set[str]:
    return {name for name, found in capabilities(facts).items() if not found.available}


@pytest.mark.parametrize("version", BUILDS)
@pytest.mark.parametrize("edition", ["server", "client"])
def test_every_windows_answers_every_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, edition: str
) -> None:
    facts = probed(tmp_path, monkeypatch, version=version, edition=edition, culture="de-DE")
    check_usable(facts)
    assert facts.edition == edition
    assert facts.module
    assert facts.build >= BUILDS[version]
    assert host_facts(facts) == HostFacts(64 * GIB, 16, facts.disk, "windows", edition)
    assert 400 * GIB < facts.disk <= 500 * GIB
    network = set() if edition == "client" else {"network-nat", "network-switch"}
    assert absent(facts) == {"sr-iov", "gpu-partition", "shielded", *network}


def test_what_the_hardware_has_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = probed(tmp_path, monkeypatch, edition="client", sriov=True, partitionable_gpu=True)
    assert absent(facts) == {"shielded"}


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"module": False}, {"module", "hypervisor"}),
        ({"rights": "none"}, {"rights"}),
        ({"slat": False}, {"slat", "hypervisor"}),
        ({"virtualization": False}, {"virtualization-firmware", "hypervisor"}),
    ],
)
def test_what_is_missing_is_found_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], missing: set[str]
) -> None:
    facts = probed(tmp_path, monkeypatch, **options)
    found = {name: need for name, need in prerequisites(facts).items() if not need.available}
    assert found.keys() == missing
    assert all(need.reason and need.fix for need in found.values())
    assert absent(facts) == set(NAMES)
    with pytest.raises(AccessDenied if missing == {"rights"} else CapabilityMissing):
        check_usable(facts)


def test_a_hyperv_administrator_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_usable(probed(tmp_path, monkeypatch, rights="hyperv-administrator"))


@pytest.mark.parametrize("deaths", [1, ATTEMPTS - 1, ATTEMPTS])
def test_a_process_that_dies_at_its_start_is_started_again_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    host(tmp_path, monkeypatch)
    plan_fault(tmp_path / "host", Fault("process-dies-at-start", times=deaths))
    if deaths == ATTEMPTS:
        with pytest.raises(HostUnreachable, match="could not be started"):
            open_host_session(HostAddress(), timeout=30)
    with open_host_session(HostAddress(), timeout=30) as session:
        check_usable(probe(session, "local"))


def test_a_slow_module_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(tmp_path, monkeypatch)
    plan_fault(tmp_path / "host", Fault("slow-module", seconds=30))
    with open_host_session(HostAddress(), timeout=30) as session:
        check_usable(probe(session, "local"))


def test_an_access_that_is_denied_once_is_a_matter_of_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(tmp_path, monkeypatch)
    plan_fault(tmp_path / "host", Fault("access-denied", on="Get-VMHost"))
    with open_host_session(HostAddress(), timeout=30) as session:
        with pytest.raises(AccessDenied):
            check_usable(probe(session, "local"))
        check_usable(probe(session, "local"))


def test_the_road_makes_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    here = probed(tmp_path, monkeypatch)
    launcher = tmp_path / "host" / "bin" / "powershell.exe"
    with running(Plan({"powershell": [str(launcher)]}, str(certificate))) as endpoint:
        address = HostAddress.parse(f"winrm://{USER}@localhost:{endpoint.http_port}/?scheme=http")
        with open_host_session(address, Credential(USER, Secret(PASSWORD)), timeout=30) as session:
            there = probe(session, "local")
    assert there == here


# -- the doctor


def doctor(*arguments: str, at: str = "local") -> Result:
    return CliRunner().invoke(main, ["doctor", "--host", at, *arguments])


def test_a_good_host_is_told_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(tmp_path, monkeypatch, edition="client")
    told = doctor("--json")
    assert told.exit_code == 0, told.output
    (one,) = json.loads(told.stdout)["backends"]
    assert (one["backend"], one["host"], one["usable"]) == ("hyperv", "local", True)
    assert one["facts"] == {
        "memory": 64 * GIB,
        "cpus": 16,
        "disk": one["facts"]["disk"],
        "os": "windows",
        "host": "client",
    }
    assert set(one["capabilities"]) == set(NAMES)
    assert set(one["prerequisites"]) == {
        *("slat", "virtualization-firmware", "module", "hypervisor", "rights", "service"),
    }
    assert all(need["available"] for need in one["prerequisites"].values())
    lines = doctor().stdout.splitlines()
    assert lines[0] == "hyperv: can run machines"
    assert any(line.split()[:2] == ["yes", "rights"] for line in lines)
    assert any(line.split()[:2] == ["NO", "sr-iov"] for line in lines)


def test_a_host_without_rights_is_told_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(tmp_path, monkeypatch, rights="none")
    told = doctor()
    assert told.exit_code == 1
    assert told.stdout.startswith("hyperv: cannot run machines\n")
    assert "neither in Administrators nor in Hyper-V Administrators" in told.stdout
    assert "fix: add it to the group Hyper-V Administrators" in told.stdout


def test_a_far_host_is_told_as_well_and_no_password_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    launcher = make_host(tmp_path / "host")
    monkeypatch.setenv("PYTEST_HYPERV_HOST_PASSWORD", PASSWORD)
    with running(Plan({"powershell": [str(launcher)]}, str(certificate))) as endpoint:
        at = f"winrm://{USER}@localhost:{endpoint.http_port}/?scheme=http"
        told = doctor(at=at)
        assert told.exit_code == 0, told.output
        assert told.stdout.startswith(f"hyperv on {at}: can run machines\n")
        monkeypatch.setenv("PYTEST_HYPERV_HOST_PASSWORD", "wrong-Pa55")
        refused = doctor("--json", at=at)
        assert refused.exit_code == 1
        assert "its password came from the environment variable" in json.loads(refused.stdout)["backends"][0]["reason"]
    assert PASSWORD not in told.output + refused.output
    assert "wrong-Pa55" not in refused.output
