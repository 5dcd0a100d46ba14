"""Give a guest its address on a private network, and the names of the others there. It keeps them over a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_hyperv.backends.base import Machine
from pytest_hyperv.errors import CommandFailed, MachineError
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.spec import Image

TIMEOUT = 120.0
"""Seconds it may take; Windows guests load two modules for it."""
MARK = "# pytest-hyperv"
"""Ends our lines in the guest's hosts file."""
LINUX = f"""
set -e
mac=$1 address=$2 prefix=$3; shift 3
for path in /sys/class/net/*; do
  if [ -e "$path/device" ]; then device=${{path##*/}}; break; fi
done
[ "$device" ] || {{ echo 'it has no network adapter' >&2; exit 1; }}
IFS= read -r old < "$path/address"
if [ "$mac" ] && [ "$mac" != "$old" ]; then
  ip link set dev "$device" address "$mac"
  for word in 1 0; do echo "$word" > "/proc/sys/net/ipv6/conf/$device/disable_ipv6" || :; done 2> /dev/null
fi
ip link set dev "$device" up
ip address replace "$address/$prefix" dev "$device"
if [ -d /etc/systemd/network ]; then
  printf '[Match]\\nName=%s\\n\\n[Network]\\nDHCP=no\\nAddress=%s/%s\\n' "$device" "$address" "$prefix" \\
    > /etc/systemd/network/10-pytest-hyperv.network
fi
[ -e /etc/hosts ] || : > /etc/hosts
kept=$(while IFS= read -r line; do case $line in *'{MARK}') ;; *) printf '%s\\n' "$line" ;; esac; done < /etc/hosts)
{{ printf '%s\\n' "$kept"; for line; do printf '%s {MARK}\\n' "$line"; done; }} > /etc/hosts
"""
"""Built-ins, and ip(8) alone: every program that is started costs 0.1 s in an emulated guest.

IPv6 is switched off and on because the link-local address goes by the hardware address that all clones had.
"""
WINDOWS = f"""
param([string] $Mac, [string] $Address, [int] $Prefix, [string[]] $Hosts)
$ErrorActionPreference = 'Stop'
$adapter = Get-NetAdapter | Sort-Object -Property ifIndex | Select-Object -First 1
if (-not $adapter) {{ throw 'it has no network adapter' }}
$index = $adapter.ifIndex
if ($Mac) {{ Set-NetAdapter -Name $adapter.Name -MacAddress $Mac -Confirm:$false }}
Set-NetIPInterface -InterfaceIndex $index -AddressFamily IPv4 -Dhcp Disabled
$there = @(Get-NetIPAddress -InterfaceIndex $index -AddressFamily IPv4 -ErrorAction SilentlyContinue)
if (@($there | ForEach-Object {{ $_.IPAddress }}) -notcontains $Address) {{
    $there | Remove-NetIPAddress -Confirm:$false
    [void] (New-NetIPAddress -InterfaceIndex $index -IPAddress $Address -PrefixLength $Prefix)
}}
$file = Join-Path $env:SystemRoot 'System32\\drivers\\etc\\hosts'
$kept = @(Get-Content -LiteralPath $file | Where-Object {{ $_ -notlike '*{MARK}' }})
Set-Content -LiteralPath $file -Encoding Ascii -Value ($kept + @($Hosts | ForEach-Object {{ "$_ {MARK}" }}))
"""
"""Not yet run on a real Windows guest."""


@dataclass(frozen=True)
class GuestAddress:
    """``mac`` is "" where the adapter keeps its own; ``hosts`` maps the names of all members to their addresses."""

    address: str
    prefix: int
    mac: str = ""
    hosts: Mapping[str, str] = field(default_factory=dict)


def take_address(machine: Machine, image: Image, given: GuestAddress) -> None:
    """Have the guest take its address; saying it again is fine.

    Raises MachineError when the guest cannot, CommandTimeout, GuestCrashed.
    """
    lines = [f"{address} {name}" for name, address in given.hosts.items()]
    try:
        if image.os_family == "windows":
            mac = given.mac.replace(":", "-")
            script = Script(WINDOWS, Mac=mac, Address=given.address, Prefix=given.prefix, Hosts=lines)
            machine.powershell.run(script.in_local_scope(), timeout=TIMEOUT).check()
        else:
            words = [given.mac, given.address, str(given.prefix), *lines]
            machine.session.run(["sh", "-c", LINUX, "sh", *words], timeout=TIMEOUT).check()
    except CommandFailed as failure:
        raise MachineError(
            f"the guest of {machine.name} did not take the address {given.address}: {failure.message}",
            hint="a Linux guest needs iproute2, a Windows guest PowerShell, each with rights to configure the network.",
            machine=machine.name,
        ) from failure
