"""Virtual switches, the addresses that guests get on them, and the host's pool of MAC addresses."""

from __future__ import annotations

import json
import zlib

from tests.hvsim.host.disks import GuestDisk
from tests.hvsim.host.failures import HostFailure, invalid_argument, not_found
from tests.hvsim.host.machines import NetworkAdapter, VirtualMachine, readiness
from tests.hvsim.host.state import Switch, World

DEFAULT_SWITCH = "c08cb7b8-9b3c-408e-8e30-5e16a3aeb444"
"""The id of the Default Switch, the same on every client Windows."""
PHYSICAL_ADAPTER = "Ethernet"
MAC_POOL = "00155D01"
STATIC = r"C:\Windows\System32\config\ADDRESSES"
"""Where a guest keeps the addresses that it was given."""


def first_switches(world: World) -> None:
    """The switches of a host that nobody has touched: clients have the Default Switch, servers none."""
    if world.options.edition == "client":
        world.switches[DEFAULT_SWITCH] = Switch("Default Switch", "Internal", DEFAULT_SWITCH, management=True)


def find_switch(world: World, name: str) -> Switch:
    """The switch of that name, in any case. Raises `HostFailure` when there is none."""
    for switch in world.switches.values():
        if switch.name.casefold() == name.casefold():
            return switch
    raise not_found(f'Hyper-V was unable to find a virtual switch with name "{name}".', name)


def add_switch(world: World, switch: Switch) -> Switch:
    """Make a switch. An external one wants a physical adapter that no other has."""
    if switch.kind == "External":
        if switch.adapter.casefold() != PHYSICAL_ADAPTER.casefold():
            raise not_found(f"No physical network adapter was found with the name '{switch.adapter}'.", switch.adapter)
        if any(other.kind == "External" for other in world.switches.values()):
            raise HostFailure(
                f"Failed while adding virtual Ethernet switch connections. External Ethernet adapter "
                f"'{switch.adapter}' is already bound to the Microsoft Virtual Switch protocol.",
                target=switch.name,
            )
    if switch.sriov and not world.options.sriov:
        raise HostFailure(
            "Failed to set the IOV state of the switch: the hardware does not support single-root I/O virtualization.",
            target=switch.name,
        )
    world.switches[switch.id] = switch
    return switch


def remove_switch(world: World, switch: Switch) -> None:
    """Remove a switch; adapters on it are left without one. The Default Switch stays for ever."""
    if switch.id == DEFAULT_SWITCH:
        raise invalid_argument("The Default Switch cannot be removed.", switch.name)
    del world.switches[switch.id]
    for vm in world.machines.values():
        for adapter in vm.settings.adapters:
            if adapter.switch == switch.id:
                adapter.switch = None


def assign_macs(world: World, vm: VirtualMachine) -> None:
    """Give every adapter with a dynamic address one from the host's pool, as happens at a machine's first start."""
    for adapter in vm.settings.adapters:
        if adapter.dynamic_mac and not adapter.mac.strip("0"):
            adapter.mac = f"{MAC_POOL}{world.macs:04X}"
            world.macs += 1


def addresses(world: World, vm: VirtualMachine, adapter: NetworkAdapter) -> list[str]:
    """What the guest's key-value exchange tells of an adapter: IPv4 and link-local IPv6, nothing before it answers.

    The Default Switch has another network after every boot of the host; a private switch has no DHCP server.
    """
    switch = world.switches.get(adapter.switch or "")
    if switch is None or not vm.settings.services.get("KeyValue") or not readiness(vm, world.now).heartbeat:
        return []
    host = int(adapter.mac[-4:], 16) % 250 + 2
    if switch.id == DEFAULT_SWITCH:
        network = f"172.{16 + world.boots % 16}.{zlib.crc32(str(world.boots).encode()) % 256}"
    elif switch.kind == "External":
        network = "10.20.30"
    else:
        static = guest_network(world, vm).get(adapter.id)
        network = "169.254.77"
        if static:
            return [static, f"fe80::215:5dff:fe{adapter.mac[6:8]}:{adapter.mac[8:]}".lower()]
    return [f"{network}.{host}", f"fe80::215:5dff:fe{adapter.mac[6:8]}:{adapter.mac[8:]}".lower()]


def guest_network(world: World, vm: VirtualMachine) -> dict[str, str]:
    """The addresses that somebody gave the guest's adapters, by the adapters' ids: kept on its disk."""
    disk = GuestDisk(world, vm.top_disk, world.now)
    entry = disk.read(STATIC)
    return dict(json.loads(disk.content(entry))) if entry is not None else {}


def set_guest_address(world: World, vm: VirtualMachine, adapter: NetworkAdapter, address: str) -> None:
    """Give an adapter of the guest a fixed address."""
    GuestDisk(world, vm.top_disk, world.now).write(
        STATIC, json.dumps({**guest_network(world, vm), adapter.id: address}).encode()
    )


def valid_mac(text: str) -> str:
    """A MAC as the world keeps it: twelve hexadecimal digits without separators."""
    plain = text.replace("-", "").replace(":", "").upper()
    if len(plain) != 12 or any(digit not in "0123456789ABCDEF" for digit in plain):
        raise invalid_argument(f"'{text}' is not a valid MAC address.", text)
    return plain
