"""What a host says of itself and what that means: as a host might answer, word for word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from pytest_hyperv.backends.hyperv import probe as probing
from pytest_hyperv.backends.hyperv.offer import (
    DEFAULT_SWITCH,
    capabilities,
    check_usable,
    host_facts,
    prerequisites,
)
from pytest_hyperv.backends.hyperv.probe import HypervFacts, Switch, hyperv_call, probe, system_call
from pytest_hyperv.capabilities import NAMES, HostFacts, Offer, Requirements
from pytest_hyperv.errors import AccessDenied, CapabilityMissing, CmdletError
from pytest_hyperv.psrp.calls import Call, Command, Runnable
from pytest_hyperv.psrp.dotnet import EnumValue, PSObject, Version
from pytest_hyperv.psrp.records import ErrorRecord
from pytest_hyperv.psrp.result import PowerShellResult
from pytest_hyperv.spec import GIB
from tests.hvsim.binder import bind
from tests.hvsim.contract import Contract, ServerVersion

SERVER = HypervFacts(
    host="hv01",
    caption="Microsoft Windows Server 2025 Datacenter",
    build=26100,
    edition="server",
    memory=64 * GIB,
    cpus=16,
    processor="GenuineIntel",
    hypervisor=True,
    firmware=False,
    slat=False,
    module="2.0.0.0",
    disk_path=r"C:\ProgramData\Microsoft\Windows\Virtual Hard Disks",
    disk=500 * GIB,
)
"""As a real one looks: once its hypervisor runs, the processor shows neither firmware nor SLAT any more."""
NAT = Switch(DEFAULT_SWITCH, "Standardswitch", "Internal")
DENIED = "You do not have the required permission to complete this task."


def reason(facts: HypervFacts, name: str) -> str:
    """Why a capability is not there, with the fix; "" when it is."""
    found = capabilities(facts)[name]
    assert found.available or found.reason
    return "" if found.available else f"{found.reason} | {found.fix}"


def test_every_capability_is_told() -> None:
    assert set(capabilities(SERVER)) == set(NAMES)


def test_a_plain_server_lacks_what_needs_hardware_or_switches() -> None:
    missing = {name for name, found in capabilities(SERVER).items() if not found.available}
    assert missing == {"network-nat", "network-switch", "gpu-partition", "sr-iov", "shielded"}
    for name in missing - {"shielded"}:
        assert capabilities(SERVER)[name].fix


def test_a_running_hypervisor_proves_what_the_processor_does_not_show_any_more() -> None:
    assert all(need.available for need in prerequisites(SERVER).values())
    check_usable(SERVER)


@pytest.mark.parametrize(
    ("change", "name", "words", "fix"),
    [
        ({"hypervisor": False, "firmware": True}, "slat", "second level address translation", "another computer"),
        ({"hypervisor": False, "slat": True}, "virtualization-firmware", "switched off in the firmware", "VT-x"),
        ({"hypervisor": False, "slat": True, "firmware": True}, "hypervisor", "not running", "hypervisorlaunchtype"),
        ({"module": ""}, "module", "module for PowerShell is not installed", "Install-WindowsFeature Hyper-V"),
        ({"module": "", "edition": "client"}, "module", "not installed", "Enable-WindowsOptionalFeature -Online"),
        ({"refused": DENIED}, "rights", "neither in Administrators nor in Hyper-V Administrators", "log on again"),
        ({"failed": "no answer"}, "service", "Get-VMHost failed: no answer", "vmms"),
    ],
)
def test_a_missing_prerequisite_is_the_reason_of_every_capability(
    change: dict[str, Any], name: str, words: str, fix: str
) -> None:
    facts = replace(SERVER, **change)
    need = prerequisites(facts)[name]
    assert not need.available
    assert words in need.reason
    assert fix in need.fix
    assert not any(found.available for found in capabilities(facts).values())
    assert all(found.reason and found.fix for found in capabilities(facts).values())


def test_rights_alone_are_denied_access_and_the_rest_is_a_missing_capability() -> None:
    with pytest.raises(AccessDenied, match="neither in Administrators nor in Hyper-V Administrators") as denied:
        check_usable(replace(SERVER, refused=DENIED))
    assert denied.value.host == "hv01"
    assert DENIED in denied.value.message
    with pytest.raises(CapabilityMissing, match="hv01 can run no machines") as missing:
        check_usable(replace(SERVER, hypervisor=False, module=""))
    assert set(missing.value.missing) == {"slat", "virtualization-firmware", "module", "hypervisor"}


@pytest.mark.parametrize(
    ("processor", "build", "nests"),
    [
        ("GenuineIntel", 17763, True),
        ("GenuineIntel", 26100, True),
        ("AuthenticAMD", 17763, False),
        ("AuthenticAMD", 19045, False),
        ("AuthenticAMD", 20348, True),
        ("AuthenticAMD", 22631, True),
        ("Qualcomm", 26100, False),
    ],
)
def test_who_can_nest_goes_by_processor_and_build(processor: str, build: int, nests: bool) -> None:
    told = reason(replace(SERVER, processor=processor, build=build), "nested")
    assert (not told) is nests
    if not nests and processor == "AuthenticAMD":
        assert "Windows Server 2022 and Windows 11" in told


def test_switches_decide_about_networks() -> None:
    inside = Switch(UUID(int=1), "Default Switch", "Internal")
    assert reason(replace(SERVER, switches=(inside,)), "network-switch") == ""
    assert "Default Switch" in reason(replace(SERVER, switches=(inside,)), "network-nat")
    assert reason(replace(SERVER, switches=(NAT,)), "network-nat") == ""


def test_sr_iov_and_gpus_are_told_as_the_host_tells_them() -> None:
    why = ("Der Chipsatz kann es nicht.", "Das BIOS auch nicht.")
    assert "; ".join(why) in reason(replace(SERVER, sr_iov_reasons=why), "sr-iov")
    assert reason(replace(SERVER, sr_iov=True), "sr-iov") == ""
    assert "has no Get-VMHostPartitionableGpu" in reason(replace(SERVER, build=17763), "gpu-partition")
    assert reason(replace(SERVER, gpus=(r"\\?\PCI#VEN_10DE",)), "gpu-partition") == ""


def test_the_offer_says_in_words_what_a_test_lacks() -> None:
    facts = replace(SERVER, edition="client", disk=GIB)
    offer = Offer("hyperv", host_facts(facts), capabilities(facts))
    assert offer.facts == HostFacts(64 * GIB, 16, GIB, "windows", "client")
    needs = Requirements(frozenset({"shielded", "uefi"}), disk=2 * GIB, host="server", os="windows")
    assert set(offer.missing(needs)) == {"shielded", "disk", "host"}


# -- asking


def answers(*objects: dict[str, Any] | ErrorRecord) -> PowerShellResult:
    """What a call brings back."""
    output = [PSObject(each) for each in objects if isinstance(each, dict)]
    return PowerShellResult(output, errors=[each for each in objects if isinstance(each, ErrorRecord)])


class Answering:
    """A host that answers from a script, and keeps what it was asked."""

    def __init__(self, *results: PowerShellResult) -> None:
        self._results = list(results)
        self.asked: list[Runnable] = []

    def run(self, what: Runnable, *, timeout: float) -> PowerShellResult:
        """The next answer."""
        assert timeout > 0
        self.asked.append(what)
        return self._results.pop(0)


SYSTEM: tuple[dict[str, Any], ...] = (
    {"Caption": "Microsoft Windows Server 2022 Standard ", "BuildNumber": "20348", "ProductType": 3},
    {"HypervisorPresent": True, "TotalPhysicalMemory": 64 * GIB, "NumberOfLogicalProcessors": 16},
    *[
        {
            "Manufacturer": "AuthenticAMD",
            "VirtualizationFirmwareEnabled": False,
            "SecondLevelAddressTranslationExtensions": False,
        }
    ]
    * 2,
    {"DeviceID": "C:", "FreeSpace": 5 * GIB},
    {"DeviceID": "D:", "FreeSpace": 7 * GIB},
    {"DeviceID": "E:", "FreeSpace": None},
)
MODULES = ({"Name": "Hyper-V", "Version": Version(1, 1)}, {"Name": "Hyper-V", "Version": Version(2, 0, 0, 0)})
VM_HOST = {"VirtualHardDiskPath": r"d:\VMs", "IovSupport": False, "IovSupportReasons": "Only one."}
SWITCH = {"Id": DEFAULT_SWITCH, "Name": "Default Switch", "SwitchType": EnumValue(1, "Internal")}
GPU = {"Name": r"\\?\PCI#VEN_10DE"}


def test_a_host_is_asked_twice_and_its_answers_are_told_apart() -> None:
    host = Answering(answers(*SYSTEM, *MODULES), answers(VM_HOST, SWITCH, GPU))
    facts = probe(host, "hv01")
    assert facts == HypervFacts(
        host="hv01",
        caption="Microsoft Windows Server 2022 Standard",
        build=20348,
        edition="server",
        memory=64 * GIB,
        cpus=16,
        processor="AuthenticAMD",
        hypervisor=True,
        firmware=False,
        slat=False,
        module="2.0.0.0",
        disk_path=r"d:\VMs",
        disk=7 * GIB,
        sr_iov_reasons=("Only one.",),
        gpus=(r"\\?\PCI#VEN_10DE",),
        switches=(Switch(DEFAULT_SWITCH, "Default Switch", "Internal"),),
    )
    assert len(host.asked) == 2
    assert facts.summary == "Microsoft Windows Server 2022 Standard (build 20348), Hyper-V module 2.0.0.0"


def test_without_the_module_the_host_is_asked_once() -> None:
    host = Answering(answers({**SYSTEM[0], "ProductType": 1}, *SYSTEM[1:]))
    facts = probe(host, "hv01")
    assert (facts.edition, facts.module, len(host.asked)) == ("client", "", 1)
    assert set(prerequisites(facts)) == {"slat", "virtualization-firmware", "module", "hypervisor"}


def test_disks_on_a_share_have_no_drive() -> None:
    host = Answering(answers(*SYSTEM, *MODULES), answers({**VM_HOST, "VirtualHardDiskPath": r"\\fs\vms"}))
    assert probe(host, "hv01").disk == 0


def test_refused_and_failed_are_told_apart() -> None:
    denied = ErrorRecord(DENIED, "AccessDenied,Microsoft.HyperV.PowerShell.Commands.GetVMHost", "PermissionDenied")
    broken = ErrorRecord("The service is not running.", "OperationFailed,x", "NotSpecified")
    refused = probe(Answering(answers(*SYSTEM, *MODULES), answers(denied, denied)), "hv01")
    assert (refused.refused, refused.failed) == (DENIED, "")
    failed = probe(Answering(answers(*SYSTEM, *MODULES), answers(broken)), "hv01")
    assert (failed.refused, failed.failed) == ("", "The service is not running.")
    assert probe(Answering(answers(*SYSTEM, *MODULES), answers()), "hv01").failed == "Get-VMHost gave nothing"


def test_a_host_whose_wmi_says_nothing_is_an_error() -> None:
    with pytest.raises(AccessDenied, match="may not ask hv01 about itself: Access is denied") as denied:
        probe(Answering(answers(ErrorRecord("Access is denied.", "x", "PermissionDenied"))), "hv01")
    assert denied.value.host == "hv01"
    with pytest.raises(CmdletError, match="Invalid class") as failed:
        probe(Answering(answers(*SYSTEM[:2], ErrorRecord("Invalid class", "x", "MetadataError"))), "hv01")
    assert failed.value.host == "hv01"


@pytest.mark.parametrize(("version", "build"), [("2019", 17763), ("2022", 20348), ("2025", 26100)])
def test_every_command_of_the_probe_is_in_the_contract(version: ServerVersion, build: int) -> None:
    contract = Contract.load(version)
    for stage in (stage for call in (system_call(), hyperv_call(build)) for stage in stages(call)):
        command = contract.command(stage.name)
        assert command is not None, stage.name
        bind(command, stage.parameters)
        if stage.name != "Select-Object":
            assert ("ErrorAction", "Continue") in stage.parameters


def test_what_2019_lacks_is_not_asked_of_it() -> None:
    names = [stage.name for stage in stages(hyperv_call(17763))]
    assert not any("PartitionableGpu" in name for name in names)
    assert any("PartitionableGpu" in stage.name for stage in stages(hyperv_call(probing.SERVER_2022)))


def stages(call: Call) -> list[Command]:
    found = [stage for statement in call.statements for stage in statement.stages]
    assert all(isinstance(stage, Command) for stage in found)
    return [stage for stage in found if isinstance(stage, Command)]
