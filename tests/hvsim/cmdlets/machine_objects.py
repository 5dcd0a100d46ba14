"""Objects that stand for machines and checkpoints."""

from __future__ import annotations

from tests.hvsim.binder import NetObject
from tests.hvsim.cmdlets.device_objects import com_port, hard_drive, integration_service, network_adapter
from tests.hvsim.cmdlets.values import HOST_NAME, enum, guid, member, moment, net_object, span
from tests.hvsim.engine.values import Int64, UInt32
from tests.hvsim.host.locale import SERVICES, text
from tests.hvsim.host.machines import Checkpoint, VirtualMachine, readiness
from tests.hvsim.host.merging import merge_of
from tests.hvsim.host.state import World
from tests.hvsim.host.states import OCCUPIES_MEMORY, Heartbeat, OperationalStatus, StateName

STATUS_TEXTS = {
    OperationalStatus.Ok: "Operating normally",
    OperationalStatus.InService: "In service",
    OperationalStatus.Degraded: "Degraded",
    OperationalStatus.CreatingSnapshot: "Creating checkpoint",
    OperationalStatus.ApplyingSnapshot: "Applying checkpoint",
    OperationalStatus.DeletingSnapshot: "Deleting checkpoint",
    OperationalStatus.MergingDisks: "Merging disks",
}


def heartbeat(world: World, vm: VirtualMachine) -> Heartbeat | None:
    """What the heartbeat service reports; None while the machine does not run."""
    if vm.state == StateName.Paused:
        return Heartbeat.Paused
    if vm.state != StateName.Running:
        return None
    if not vm.settings.services.get("Heartbeat", False):
        return Heartbeat.Disabled
    if vm.hung:
        return Heartbeat.LostCommunication
    return Heartbeat.OkApplicationsUnknown if readiness(vm, world.now).heartbeat else Heartbeat.NoContact


def status_descriptions(world: World, vm: VirtualMachine) -> list[str]:
    """The texts of the operational statuses, in the language of the host, with the progress of a merge."""
    words = [text(STATUS_TEXTS[status], world.options.culture) for status in vm.operational_status]
    merge = merge_of(world, vm.id)
    if merge is not None and OperationalStatus.MergingDisks in vm.operational_status:
        share = (world.now - merge.started) / max(merge.until - merge.started, 0.001)
        words[-1] += f" ({min(99, int(share * 100))}%)"
    return words


def machine_object(world: World, vm: VirtualMachine) -> NetObject:
    """A VirtualMachine as it is at this moment."""
    settings = vm.settings
    statuses = [member("VMOperationalStatus", status) for status in vm.operational_status]
    descriptions = status_descriptions(world, vm)
    beat = heartbeat(world, vm)
    parent = vm.checkpoints.get(vm.current or "")
    running = vm.state in OCCUPIES_MEMORY
    assigned = settings.ram.startup if running else 0
    booted = running and vm.booted_at <= world.now
    return net_object(
        ("VirtualMachine", "VirtualMachineBase", "VirtualizationObject"),
        {
            "Id": guid(vm.id),
            "VMId": guid(vm.id),
            "Name": vm.name,
            "VMName": vm.name,
            "State": member("VMState", vm.state_name),
            "Status": descriptions[-1],
            "OperationalStatus": statuses,
            "PrimaryOperationalStatus": statuses[0],
            "SecondaryOperationalStatus": statuses[1] if len(statuses) > 1 else None,
            "StatusDescriptions": descriptions,
            "PrimaryStatusDescription": descriptions[0],
            "SecondaryStatusDescription": descriptions[1] if len(descriptions) > 1 else None,
            "Heartbeat": None if beat is None else member("VMHeartbeatStatus", beat),
            "Uptime": span(world.now - vm.booted_at if booted else 0.0),
            "CPUUsage": 0,
            "Notes": settings.notes,
            "Path": vm.path,
            "ConfigurationLocation": vm.path,
            "SnapshotFileLocation": vm.snapshot_path,
            "CheckpointFileLocation": vm.snapshot_path,
            "SmartPagingFilePath": vm.path,
            "Generation": settings.generation,
            "Version": settings.version,
            "ProcessorCount": Int64(settings.processor.count),
            "MemoryStartup": Int64(settings.ram.startup),
            "MemoryMinimum": Int64(settings.ram.minimum),
            "MemoryMaximum": Int64(settings.ram.maximum),
            "MemoryAssigned": Int64(assigned),
            "MemoryDemand": Int64(assigned),
            "MemoryStatus": "",
            "DynamicMemoryEnabled": settings.ram.dynamic,
            "CheckpointType": enum("CheckpointType", settings.checkpoint_type),
            "AutomaticCheckpointsEnabled": settings.automatic_checkpoints,
            "AutomaticStartAction": enum("StartAction", settings.start_action),
            "AutomaticStartDelay": settings.start_delay,
            "AutomaticStopAction": enum("StopAction", settings.stop_action),
            "AutomaticCriticalErrorAction": enum("CriticalErrorAction", settings.critical_action),
            "AutomaticCriticalErrorActionTimeout": settings.critical_timeout,
            "BatteryPassthroughEnabled": bool(settings.options.get("BatteryPassthroughEnabled", True)),
            "ParentCheckpointId": guid(vm.current),
            "ParentCheckpointName": parent.name if parent else None,
            "ParentSnapshotId": guid(vm.current),
            "ParentSnapshotName": parent.name if parent else None,
            "IsClustered": False,
            "IsDeleted": False,
            "CreationTime": moment(vm.created),
            "ComputerName": HOST_NAME,
            "IntegrationServicesState": "",
            "ResourceMeteringEnabled": False,
            "LockOnDisconnect": enum("OnOffState", str(settings.options.get("LockOnDisconnect", "Off"))),
            "LowMemoryMappedIoSpace": UInt32(int(settings.options.get("LowMemoryMappedIoSpace", 128 * 1024**2))),
            "HighMemoryMappedIoSpace": int(settings.options.get("HighMemoryMappedIoSpace", 512 * 1024**2)),
            "GuestControlledCacheTypes": bool(settings.options.get("GuestControlledCacheTypes", False)),
            "HardDrives": [hard_drive(world, vm, drive) for drive in settings.drives],
            "DVDDrives": [],
            "NetworkAdapters": [network_adapter(world, vm, adapter) for adapter in settings.adapters],
            "ComPort1": com_port(vm, settings.com_ports[0]),
            "ComPort2": com_port(vm, settings.com_ports[1]),
            "VMIntegrationService": [integration_service(world, vm, key) for key in SERVICES],
        },
        f"VirtualMachine (Name = '{vm.name}') [Id = '{vm.id}']",
    )


def checkpoint_object(world: World, vm: VirtualMachine, point: Checkpoint) -> NetObject:
    """A VMSnapshot: its state is Saved with memory, else Off."""
    parent = vm.checkpoints.get(point.parent or "")
    settings = point.settings
    state = StateName.Off if point.memory is None else StateName.Saved
    return net_object(
        ("VMSnapshot", "VirtualMachineBase", "VirtualizationObject"),
        {
            "Id": guid(point.id),
            "Name": point.name,
            "VMId": guid(vm.id),
            "VMName": vm.name,
            "State": member("VMState", state),
            "SnapshotType": enum("SnapshotType", "Standard"),
            "IsAutomaticCheckpoint": point.automatic,
            "CreationTime": moment(point.created),
            "ParentCheckpointId": guid(point.parent),
            "ParentCheckpointName": parent.name if parent else None,
            "ParentSnapshotId": guid(point.parent),
            "ParentSnapshotName": parent.name if parent else None,
            "Path": vm.snapshot_path,
            "Notes": settings.notes,
            "Generation": settings.generation,
            "Version": settings.version,
            "ProcessorCount": Int64(settings.processor.count),
            "MemoryStartup": Int64(settings.ram.startup),
            "MemoryMinimum": Int64(settings.ram.minimum),
            "MemoryMaximum": Int64(settings.ram.maximum),
            "DynamicMemoryEnabled": settings.ram.dynamic,
            "CheckpointType": enum("CheckpointType", settings.checkpoint_type),
            "AutomaticStartAction": enum("StartAction", settings.start_action),
            "AutomaticStopAction": enum("StopAction", settings.stop_action),
            "HardDrives": [hard_drive(world, vm, drive, point.id) for drive in settings.drives],
            "NetworkAdapters": [network_adapter(world, vm, adapter, point.id) for adapter in settings.adapters],
            "ComPort1": com_port(vm, settings.com_ports[0], point.id),
            "ComPort2": com_port(vm, settings.com_ports[1], point.id),
            "IsClustered": False,
            "IsDeleted": False,
            "ComputerName": HOST_NAME,
            "SizeOfSystemFiles": Int64(settings.ram.startup if point.memory is not None else 0),
        },
        f"VMSnapshot (Name = '{point.name}') [Id = '{point.id}', VMName = '{vm.name}']",
    )
