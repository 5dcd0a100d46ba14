"""What is left on a simulated host: for tests that want nothing left."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.hvsim.host.state import Process, World
from tests.hvsim.host.world import SimHost


def left_over(folder: Path, *stores: str) -> list[str]:
    """Machines, private switches, merges, mounted disks, locks, live processes and files below `stores`, in words.

    `stores` are Windows paths of folders; files elsewhere are not reported, nor are read-only files, which are images.
    """
    host = SimHost(folder)
    with host.transaction() as world:
        found = [f"machine {vm.name} ({vm.id}) is {vm.state_name.name}" for vm in world.machines.values()]
        found += [f"switch {switch.name}" for switch in world.switches.values() if switch.kind == "Private"]
        found += [f"merge of the disks of {merge.name}" for merge in world.merges]
        found += [f"disk {disk.path} is mounted" for disk in world.mounted]
        found += [f"{lock.path} is locked: {lock.reason}" for lock in world.locks]
        found += _processes(world)
        found += [f"file {world.drives.windows(file)}" for store in stores for file in _files(world, store)]
    return found


def _files(world: World, store: str) -> list[Path]:
    return [file for file in world.drives.files_below(store) if file.stat().st_mode & 0o222]


def _processes(world: World) -> list[str]:
    return [f"process {process.pid}" for process in world.processes if psutil.pid_exists(process.pid)]


def register_process(host: SimHost, pid: int) -> int:
    """Note a PowerShell process that has begun; returns the boot of the host it belongs to."""
    with host.transaction() as world:
        world.processes = [known for known in world.processes if psutil.pid_exists(known.pid) and known.pid != pid]
        world.processes.append(Process(pid, world.boots, world.now))
        return world.boots


def forget_process(host: SimHost, pid: int) -> None:
    """Note that a process has ended in an orderly way."""
    with host.transaction() as world:
        world.processes = [known for known in world.processes if known.pid != pid]
