"""Virtual switches, and network adapters of machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets.arguments import (
    each_machine,
    flag,
    given,
    identity,
    is_on,
    items,
    matcher,
    prop,
    text,
    texts,
)
from tests.hvsim.cmdlets.device_objects import network_adapter
from tests.hvsim.cmdlets.settings import require_off, viewer
from tests.hvsim.cmdlets.values import HOST_NAME, enum, guid, net_object
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host import switches
from tests.hvsim.host.failures import HostFailure, not_found
from tests.hvsim.host.locale import text as localised
from tests.hvsim.host.machines import NetworkAdapter, Settings, VirtualMachine
from tests.hvsim.host.power import refuse_while_busy
from tests.hvsim.host.state import Switch, World
from tests.hvsim.host.states import OFF

MOST_ADAPTERS = 8
OPTIONS = ("DhcpGuard", "RouterGuard", "AllowTeaming", "DeviceNaming", "IovWeight", "VmqWeight", "PortMirroring")
Change = Callable[[World, VirtualMachine, NetworkAdapter], None]


def switch_object(switch: Switch) -> NetObject:
    """A VMSwitch."""
    return net_object(
        ("VMSwitch", "VirtualizationObject"),
        {
            "Name": switch.name,
            "Id": guid(switch.id),
            "Notes": switch.notes,
            "SwitchType": enum("VMSwitchType", switch.kind),
            "AllowManagementOS": switch.management,
            "NetAdapterInterfaceDescription": switch.adapter or None,
            "NetAdapterInterfaceDescriptions": [switch.adapter] if switch.adapter else [],
            "IovEnabled": switch.sriov,
            "IovSupport": switch.sriov,
            "ComputerName": HOST_NAME,
            "IsDeleted": False,
        },
        f"VMSwitch (Name = '{switch.name}') [Id = '{switch.id}']",
    )


def get_switch(inv: Invocation) -> Iterable[object]:
    """Get-VMSwitch: all, by name pattern, by ids, of certain types. One that is not there is an error."""
    with inv.host.transaction() as world:
        found = list(world.switches.values())
        if given(inv, "Id"):
            ids = [str(one).lower() for one in items(inv, "Id")]
            for one in ids:
                if one not in world.switches:
                    raise not_found(f"Hyper-V was unable to find a virtual switch with ID '{one}'.", one)
            found = [world.switches[one] for one in ids]
        elif given(inv, "Name"):
            name = text(inv, "Name")
            fits = matcher(name)
            found = [switch for switch in found if fits(switch.name)]
            if not found and not any(character in name for character in "*?["):
                raise not_found(f'Hyper-V was unable to find a virtual switch with name "{name}".', name)
        kinds = [kind.casefold() for kind in texts(inv, "SwitchType")]
        return [switch_object(one) for one in found if not kinds or one.kind.casefold() in kinds]


def new_switch(inv: Invocation) -> Iterable[object]:
    """New-VMSwitch: private or internal by type, external by the physical adapter it takes."""
    with inv.host.transaction() as world:
        adapter = (texts(inv, "NetAdapterName") or texts(inv, "NetAdapterInterfaceDescription") or [""])[0]
        kind = text(inv, "SwitchType") or "External"
        switch = Switch(
            name=text(inv, "Name"),
            kind=enum("VMSwitchType", kind).name,
            notes=text(inv, "Notes"),
            adapter=adapter,
            management=kind != "Private" and (flag(inv, "AllowManagementOS") or not given(inv, "AllowManagementOS")),
            sriov=flag(inv, "EnableIov"),
        )
        return [switch_object(switches.add_switch(world, switch))]


def remove_switch(inv: Invocation) -> Iterable[object]:
    """Remove-VMSwitch."""
    with inv.host.transaction() as world:
        if given(inv, "VMSwitch"):
            ids = [identity(one) for one in items(inv, "VMSwitch")]
            gone = [world.switches[one] for one in ids if one in world.switches]
        else:
            gone = [switches.find_switch(world, name) for name in texts(inv, "Name")]
        for switch in gone:
            switches.remove_switch(world, switch)
    return []


def get_adapter(inv: Invocation) -> Iterable[object]:
    """Get-VMNetworkAdapter: of machines, of a checkpoint, of the host (-ManagementOS: none here), or all of them."""
    fits = matcher(text(inv, "Name", "*"))

    def view(world: World, vm: VirtualMachine, settings: Settings, point: str | None) -> list[object]:
        return [network_adapter(world, vm, one, point) for one in settings.adapters if fits(one.name)]

    if flag(inv, "ManagementOS"):
        return []
    if flag(inv, "All"):
        with inv.host.transaction() as world:
            return [one for vm in world.machines.values() for one in view(world, vm, vm.settings, None)]
    return viewer(view)(inv)


def add_adapter(inv: Invocation) -> Iterable[object]:
    """Add-VMNetworkAdapter: eight at most; also to a running machine of generation 2."""

    def add(world: World, vm: VirtualMachine) -> NetObject:
        refuse_while_busy(world, vm, "add an adapter to")
        if len(vm.settings.adapters) >= MOST_ADAPTERS:
            raise HostFailure(f"'{vm.name}' has {MOST_ADAPTERS} network adapters, which is the most.", target=vm.name)
        if vm.settings.generation == 1:
            require_off(vm, "add an adapter to")
        adapter = NetworkAdapter(name=text(inv, "Name") or localised("Network Adapter", world.options.culture))
        if given(inv, "SwitchName"):
            adapter.switch = switches.find_switch(world, text(inv, "SwitchName")).id
        if given(inv, "StaticMacAddress"):
            adapter.mac, adapter.dynamic_mac = switches.valid_mac(text(inv, "StaticMacAddress")), False
        vm.settings.adapters.append(adapter)
        if vm.state not in OFF:
            switches.assign_macs(world, vm)
        return network_adapter(world, vm, adapter)

    added = [result for _, result in each_machine(inv, add)]
    return added if flag(inv, "Passthru") else []


def _each_adapter(inv: Invocation, change: Change, *, name_parameter: str = "Name") -> list[NetObject]:
    """Change the adapters that came as objects, or those of the machines named that a name pattern fits."""
    changed: list[NetObject] = []

    def apply(world: World, vm: VirtualMachine, adapters: list[NetworkAdapter]) -> None:
        refuse_while_busy(world, vm, "modify an adapter of")
        for adapter in adapters:
            change(world, vm, adapter)
            changed.append(network_adapter(world, vm, adapter))

    if given(inv, "VMNetworkAdapter"):
        for device in items(inv, "VMNetworkAdapter"):
            with inv.host.transaction() as world:
                vm = world.machine(identity(device, "VMId"))
                full = str(prop(device, "Id")).lower()
                found = [one for one in vm.settings.adapters if one.id in full]
                if not found:
                    raise not_found(f"The network adapter was not found on '{vm.name}'.", vm.name)
                apply(world, vm, found)
        return changed
    patterns = [matcher(name) for name in texts(inv, name_parameter) or ["*"]]

    def of_machine(world: World, vm: VirtualMachine) -> None:
        found = [one for one in vm.settings.adapters if any(fits(one.name) for fits in patterns)]
        if not found and given(inv, name_parameter):
            raise not_found(f"The network adapter was not found on '{vm.name}'.", vm.name)
        apply(world, vm, found)

    for _ in each_machine(inv, of_machine):
        pass
    return changed


def _passed(inv: Invocation, objects: list[NetObject]) -> list[NetObject]:
    return objects if flag(inv, "Passthru") else []


def remove_adapter(inv: Invocation) -> Iterable[object]:
    """Remove-VMNetworkAdapter."""

    def remove(_world: World, vm: VirtualMachine, adapter: NetworkAdapter) -> None:
        if vm.settings.generation == 1:
            require_off(vm, "remove an adapter of")
        vm.settings.adapters.remove(adapter)

    return _passed(inv, _each_adapter(inv, remove))


def connect_adapter(inv: Invocation) -> Iterable[object]:
    """Connect-VMNetworkAdapter: to the switch of a name, or the switch itself."""

    def connect(world: World, _vm: VirtualMachine, adapter: NetworkAdapter) -> None:
        if given(inv, "VMSwitch"):
            wanted = identity(inv.bound.values["VMSwitch"])
            if wanted not in world.switches:
                raise not_found(f"Hyper-V was unable to find a virtual switch with ID '{wanted}'.", wanted)
            adapter.switch = wanted
        elif given(inv, "SwitchName"):
            adapter.switch = switches.find_switch(world, text(inv, "SwitchName")).id

    return _passed(inv, _each_adapter(inv, connect))


def disconnect_adapter(inv: Invocation) -> Iterable[object]:
    """Disconnect-VMNetworkAdapter."""

    def disconnect(_world: World, _vm: VirtualMachine, adapter: NetworkAdapter) -> None:
        adapter.switch = None

    return _passed(inv, _each_adapter(inv, disconnect))


def set_adapter(inv: Invocation) -> Iterable[object]:
    """Set-VMNetworkAdapter: MAC address (while off), spoofing, guards and weights."""

    def change(_world: World, vm: VirtualMachine, adapter: NetworkAdapter) -> None:
        if given(inv, "StaticMacAddress"):
            require_off(vm, "change the MAC address of")
            adapter.mac, adapter.dynamic_mac = switches.valid_mac(text(inv, "StaticMacAddress")), False
        if flag(inv, "DynamicMacAddress"):
            require_off(vm, "change the MAC address of")
            adapter.mac, adapter.dynamic_mac = "000000000000", True
        if given(inv, "MacAddressSpoofing"):
            adapter.spoofing = is_on(inv, "MacAddressSpoofing")
        for option in OPTIONS:
            if given(inv, option):
                adapter.options[option] = text(inv, option)

    return _passed(inv, _each_adapter(inv, change))
