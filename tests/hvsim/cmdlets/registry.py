"""All cmdlets of the Hyper-V module that the simulated host has, by name, and what stands before each of them."""

from __future__ import annotations

from collections.abc import Iterable

from tests.hvsim.cmdlets import (
    checkpoints,
    devices,
    disks,
    firmware,
    guest_files,
    host,
    integration,
    machines,
    moving,
    network,
    ports,
    power,
    settings,
)
from tests.hvsim.engine.invocation import Cmdlet, Invocation
from tests.hvsim.host.failures import access_denied, sharing_violation
from tests.hvsim.host.faults import ProcessDies
from tests.hvsim.host.mishaps import reboot_host, strike_machines
from tests.hvsim.host.state import World
from tests.hvsim.host.strikes import field_strikes, strike

MODULE: dict[str, Cmdlet] = {
    "Add-VMHardDiskDrive": devices.add_hard_drive,
    "Add-VMNetworkAdapter": network.add_adapter,
    "Add-VMScsiController": devices.add_controller,
    "Checkpoint-VM": checkpoints.checkpoint_vm,
    "Connect-VMNetworkAdapter": network.connect_adapter,
    "Convert-VHD": disks.convert_vhd,
    "Copy-VMFile": guest_files.copy_file,
    "Debug-VM": guest_files.debug_vm,
    "Disable-VMIntegrationService": integration.disable_service,
    "Disable-VMTPM": firmware.disable_tpm,
    "Disconnect-VMNetworkAdapter": network.disconnect_adapter,
    "Dismount-VHD": disks.dismount_vhd,
    "Enable-VMIntegrationService": integration.enable_service,
    "Enable-VMTPM": firmware.enable_tpm,
    "Export-VM": moving.export_vm,
    "Export-VMSnapshot": moving.export_snapshot,
    "Get-VHD": disks.get_vhd,
    "Get-VM": machines.get_vm,
    "Get-VMComPort": ports.get_com_port,
    "Get-VMDvdDrive": devices.get_dvd_drive,
    "Get-VMFirmware": firmware.get_firmware,
    "Get-VMHardDiskDrive": devices.get_hard_drive,
    "Get-VMHost": host.get_host,
    "Get-VMHostPartitionableGpu": host.get_gpu,
    "Get-VMHostSupportedVersion": host.get_supported_version,
    "Get-VMIntegrationService": integration.get_service,
    "Get-VMKeyProtector": firmware.get_key_protector,
    "Get-VMMemory": settings.get_memory,
    "Get-VMNetworkAdapter": network.get_adapter,
    "Get-VMProcessor": settings.get_processor,
    "Get-VMScsiController": devices.get_controller,
    "Get-VMSecurity": firmware.get_security,
    "Get-VMSnapshot": checkpoints.get_snapshot,
    "Get-VMSwitch": network.get_switch,
    "Get-VMVideo": ports.get_video,
    "Import-VM": moving.import_vm,
    "Merge-VHD": disks.merge_vhd,
    "Mount-VHD": disks.mount_vhd,
    "New-VHD": disks.new_vhd,
    "New-VM": machines.new_vm,
    "New-VMSwitch": network.new_switch,
    "Optimize-VHD": disks.optimize_vhd,
    "Remove-VM": machines.remove_vm,
    "Remove-VMHardDiskDrive": devices.remove_hard_drive,
    "Remove-VMNetworkAdapter": network.remove_adapter,
    "Remove-VMSavedState": power.remove_saved_state,
    "Remove-VMSnapshot": checkpoints.remove_snapshot,
    "Remove-VMSwitch": network.remove_switch,
    "Rename-VM": machines.rename_vm,
    "Rename-VMSnapshot": checkpoints.rename_snapshot,
    "Resize-VHD": disks.resize_vhd,
    "Restart-VM": power.restart_vm,
    "Restore-VMSnapshot": checkpoints.restore_snapshot,
    "Resume-VM": power.resume_vm,
    "Save-VM": power.save_vm,
    "Set-VHD": disks.set_vhd,
    "Set-VM": machines.set_vm,
    "Set-VMComPort": ports.set_com_port,
    "Set-VMFirmware": firmware.set_firmware,
    "Set-VMHost": host.set_host,
    "Set-VMKeyProtector": firmware.set_key_protector,
    "Set-VMMemory": settings.set_memory,
    "Set-VMNetworkAdapter": network.set_adapter,
    "Set-VMProcessor": settings.set_processor,
    "Set-VMSecurity": firmware.set_security,
    "Set-VMVideo": ports.set_video,
    "Start-VM": power.start_vm,
    "Stop-VM": power.stop_vm,
    "Suspend-VM": power.suspend_vm,
    "Test-VHD": disks.test_vhd,
}
"""What plays each cmdlet."""

DISK_COMMANDS = ("New-VHD", "New-VM", "Add-VMHardDiskDrive", "Merge-VHD", "Start-VM")
"""Cmdlets that a sharing violation may befall in field mode."""


def guarded(name: str, cmdlet: Cmdlet) -> Cmdlet:
    """The cmdlet with what stands before it, rights and planned faults, and the reply that may get lost after it."""

    def run(inv: Invocation) -> Iterable[object]:
        _before(inv, name)
        objects = list(cmdlet(inv))
        _after(inv, name)
        yield from objects

    return run


def _before(inv: Invocation, name: str) -> None:
    with inv.host.transaction() as world:
        if world.options.rights == "none" or strike(world, "access-denied", on=name):
            raise access_denied(name)
        if fails_by_sharing(world, name):
            raise sharing_violation(str(inv.bound.values.get("Path", "a file of the virtual machine")))
        strike_machines(world, on=name)
        rebooted = strike(world, "host-reboots", on=name) is not None
        if rebooted:
            reboot_host(world)
    if rebooted:
        raise ProcessDies("the host restarts")


def fails_by_sharing(world: World, name: str) -> bool:
    """Whether a sharing violation is planned for the cmdlet, or befalls it in field mode."""
    meant = [fault for fault in world.faults if fault.kind == "sharing-violation" and fault.on is not None]
    if (name in DISK_COMMANDS or meant) and strike(world, "sharing-violation", on=name):
        return True
    return name in DISK_COMMANDS and field_strikes(world, "sharing-violation")


def _after(inv: Invocation, name: str) -> None:
    with inv.host.transaction() as world:
        lost = strike(world, "reply-lost", on=name)
    if lost is not None:
        raise ProcessDies("the reply is lost")


CMDLETS: dict[str, Cmdlet] = {name.casefold(): guarded(name, cmdlet) for name, cmdlet in MODULE.items()}
"""The cmdlets by their names in lower case (`str.casefold`)."""
