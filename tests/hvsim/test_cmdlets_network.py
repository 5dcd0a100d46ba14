"""Switches, adapters, addresses and integration services."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.hvsim.binder import NetObject
from tests.hvsim.console import Console, open_console
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.host.mishaps import reboot_host
from tests.hvsim.host.options import HostOptions

DEFAULT_SWITCH = "c08cb7b8-9b3c-408e-8e30-5e16a3aeb444"
SERVICES = {
    "6C09BB55-D683-4DA0-8931-C9BF705F6480": False,
    "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47": True,
    "2A34B1C2-FD73-4043-8A5B-DD2159BC743F": True,
    "9F8233AC-BE49-4C79-8EE3-E7E1985B2077": True,
    "2497F4DE-E9FA-4204-80E4-4B75C46419C0": True,
    "5CED1297-4598-4915-A5FC-AD21BB4D02A4": True,
}


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return open_console(tmp_path, HostOptions(speed=1.0))


def adapter(console: Console, vm: NetObject) -> NetObject:
    return console.one("Get-VMNetworkAdapter", vm)


def addresses(console: Console, vm: NetObject) -> list[str]:
    found = adapter(console, vm).property("IPAddresses")
    assert isinstance(found, list)
    return found


def test_a_server_has_no_switch_and_a_client_the_default_one(console: Console, tmp_path: Path) -> None:
    assert console("Get-VMSwitch") == []
    (tmp_path / "client").mkdir()
    client = open_console(tmp_path / "client", HostOptions(edition="client"))
    default = client.one("Get-VMSwitch", Id=uuid.UUID(DEFAULT_SWITCH))
    assert (default.property("Name"), str(default.property("SwitchType"))) == ("Default Switch", "Internal")
    with pytest.raises(HostFailure, match="cannot be removed"):
        client("Remove-VMSwitch", Name="Default Switch", Force=True)


@pytest.mark.parametrize("kind", ["Private", "Internal"])
def test_a_switch_is_made_found_and_removed(console: Console, kind: str) -> None:
    made = console.one("New-VMSwitch", Name="lab", SwitchType=kind)
    assert str(console.one("Get-VMSwitch", Name="LAB").property("SwitchType")) == kind
    console("Remove-VMSwitch", made, Force=True)
    with pytest.raises(HostFailure, match="unable to find a virtual switch"):
        console("Get-VMSwitch", Name="lab")


def test_an_external_switch_takes_the_physical_adapter_for_itself(console: Console) -> None:
    with pytest.raises(HostFailure, match="No physical network adapter"):
        console("New-VMSwitch", Name="ext", NetAdapterName="Ethernet 7")
    console("New-VMSwitch", Name="ext", NetAdapterName="Ethernet")
    with pytest.raises(HostFailure, match="already bound"):
        console("New-VMSwitch", Name="ext2", NetAdapterName="Ethernet")


def test_sriov_wants_hardware(console: Console) -> None:
    with pytest.raises(HostFailure, match="single-root"):
        console("New-VMSwitch", Name="ext", NetAdapterName="Ethernet", EnableIov=True)


def test_a_mac_is_given_at_the_first_start_and_has_no_separators(console: Console) -> None:
    first, second = console.machine("one"), console.machine("two")
    assert adapter(console, first).property("MacAddress") == "000000000000"
    console("Start-VM", first)
    console("Start-VM", second)
    macs = {str(adapter(console, vm).property("MacAddress")) for vm in (first, second)}
    assert len(macs) == 2
    assert all(len(mac) == 12 and mac.startswith("00155D") for mac in macs)


def test_addresses_are_told_by_the_guest_once_it_is_up_and_connected(console: Console) -> None:
    console("New-VMSwitch", Name="lab", SwitchType="Internal")
    vm = console.machine()
    console("Connect-VMNetworkAdapter", adapter(console, vm), SwitchName="lab")
    console("Start-VM", vm)
    assert addresses(console, vm) == []
    console.host.advance(20)
    assert [":" in one for one in addresses(console, vm)] == [False, True]
    console("Disable-VMIntegrationService", vm, Name="Key-Value Pair Exchange")
    assert addresses(console, vm) == []
    console("Enable-VMIntegrationService", vm, Name="Key-Value Pair Exchange")
    console("Disconnect-VMNetworkAdapter", adapter(console, vm))
    assert addresses(console, vm) == []


def test_the_default_switch_has_another_network_after_every_boot_of_the_host(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(edition="client"))
    vm = console.machine(AutomaticStartAction="Nothing", AutomaticStopAction="TurnOff")
    console("Connect-VMNetworkAdapter", adapter(console, vm), SwitchName="Default Switch")
    console.ready(vm)
    before = addresses(console, vm)[0]
    with console.host.transaction() as world:
        reboot_host(world)
    console.ready(vm)
    assert addresses(console, vm)[0].split(".")[:3] != before.split(".")[:3]


def test_an_unknown_switch_connects_nothing(console: Console) -> None:
    vm = console.machine()
    with pytest.raises(HostFailure, match="unable to find a virtual switch"):
        console("Connect-VMNetworkAdapter", adapter(console, vm), SwitchName="nowhere")
    assert adapter(console, vm).property("Connected") is False


def test_removing_a_switch_leaves_adapters_without_one(console: Console) -> None:
    console("New-VMSwitch", Name="lab", SwitchType="Private")
    vm = console.machine()
    console("Connect-VMNetworkAdapter", VMName="vm-1", SwitchName="lab")
    assert adapter(console, vm).property("SwitchName") == "lab"
    console("Remove-VMSwitch", Name="lab", Force=True)
    assert adapter(console, vm).property("SwitchName") is None


def test_a_static_mac_is_set_while_off_in_any_spelling(console: Console) -> None:
    vm = console.machine()
    console("Set-VMNetworkAdapter", adapter(console, vm), StaticMacAddress="02-15-5d-00-00-01", MacAddressSpoofing="On")
    assert adapter(console, vm).property("MacAddress") == "02155D000001"
    assert str(adapter(console, vm).property("MacAddressSpoofing")) == "On"
    with pytest.raises(HostFailure, match="not a valid MAC"):
        console("Set-VMNetworkAdapter", adapter(console, vm), StaticMacAddress="02-15")
    console("Start-VM", vm)
    with pytest.raises(HostFailure) as refused:
        console("Set-VMNetworkAdapter", adapter(console, vm), StaticMacAddress="02155D000002")
    assert refused.value.error_id == "InvalidState"


def test_adapters_are_added_up_to_eight_and_removed(console: Console) -> None:
    vm = console.machine()
    for number in range(7):
        console("Add-VMNetworkAdapter", vm, Name=f"extra-{number}")
    with pytest.raises(HostFailure, match="8 network adapters"):
        console("Add-VMNetworkAdapter", vm)
    console("Remove-VMNetworkAdapter", vm, Name="extra-*")
    assert len(console("Get-VMNetworkAdapter", vm)) == 1
    console("Remove-VMNetworkAdapter", adapter(console, vm))
    assert console("Get-VMNetworkAdapter", vm) == []


def guid(service: NetObject) -> str:
    return str(service.property("Id")).rpartition("\\")[2]


@pytest.mark.parametrize("culture", ["en-US", "de-DE"])
def test_services_are_known_by_the_guid_at_the_end_of_their_id(tmp_path: Path, culture: str) -> None:
    console = open_console(tmp_path, HostOptions(culture=culture))
    services = console("Get-VMIntegrationService", console.machine())
    assert {guid(one): one.property("Enabled") for one in services} == SERVICES
    assert ("Heartbeat" in {one.property("Name") for one in services}) == (culture == "en-US")


def test_an_english_name_is_unknown_on_a_german_host(tmp_path: Path) -> None:
    console = open_console(tmp_path, HostOptions(culture="de-DE"))
    vm = console.machine()
    with pytest.raises(HostFailure, match="unable to find an integration service"):
        console("Enable-VMIntegrationService", vm, Name="Guest Service Interface")
    console("Enable-VMIntegrationService", vm, Name="Gastdienstschnittstelle")


def test_a_service_reports_once_the_guest_answers(console: Console) -> None:
    vm = console.machine()
    console("Start-VM", vm)

    def status() -> str:
        return str(console.one("Get-VMIntegrationService", vm, Name="Heartbeat").property("PrimaryOperationalStatus"))

    assert status() == "NoContact"
    console.host.advance(20)
    assert status() == "Ok"


def test_services_are_switched_by_their_objects(console: Console) -> None:
    vm = console.machine()
    files = [one for one in console("Get-VMIntegrationService", vm) if guid(one).startswith("6C09BB55")]
    console("Enable-VMIntegrationService", files)
    assert console.one("Get-VMIntegrationService", vm, Name="Guest*").property("Enabled") is True
