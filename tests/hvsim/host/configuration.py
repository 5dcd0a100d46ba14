"""The files that hold a machine's configuration: .vmcx, .vmrs and .vmgs, of the machine and of its checkpoints."""

from __future__ import annotations

import json

from tests.hvsim.host.machines import VirtualMachine
from tests.hvsim.host.records import written
from tests.hvsim.host.state import World

CONFIGURATION = ("vmcx", "vmrs", "vmgs")


def machine_folder(path: str) -> str:
    """Where a machine's configuration is, in its own folder."""
    return f"{path}\\Virtual Machines"


def configuration_files(vm: VirtualMachine) -> list[str]:
    """All files of a machine's configuration that are held open while it is registered."""
    suffixes = CONFIGURATION if vm.settings.generation == 2 else CONFIGURATION[:2]
    files = [f"{machine_folder(vm.path)}\\{vm.id.upper()}.{suffix}" for suffix in suffixes]
    for point in vm.checkpoints:
        files += [f"{vm.snapshot_path}\\Snapshots\\{point.upper()}.{suffix}" for suffix in suffixes]
    return files


def write_configuration(world: World, vm: VirtualMachine) -> None:
    """Put a machine's files where they belong; those that are there already stay as they are."""
    for path in configuration_files(vm):
        real = world.drives.resolve(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        if not real.exists():
            real.write_text(json.dumps({"machine": vm.id}), encoding="utf-8")


def write_export(world: World, vm: VirtualMachine, folder: str) -> str:
    """Write the whole of a machine into a .vmcx below `folder`; returns its path."""
    path = f"{machine_folder(folder)}\\{vm.id.upper()}.vmcx"
    real = world.drives.resolve(path)
    real.parent.mkdir(parents=True, exist_ok=True)
    real.write_text(written(vm), encoding="utf-8")
    return path


def remove_configuration(world: World, files: list[str]) -> None:
    """Remove files of a configuration, and the folders of theirs that are empty then."""
    for path in files:
        real = world.drives.resolve(path)
        real.unlink(missing_ok=True)
        if real.parent.is_dir() and not any(real.parent.iterdir()):
            real.parent.rmdir()
