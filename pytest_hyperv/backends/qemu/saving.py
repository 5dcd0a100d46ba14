"""Bring the memory of a machine into files that clones can start from.

A machine whose memory is a shared file only needs its devices' state written. A clone's memory is private pages over
somebody else's file: it is sent, paused, into a twin whose memory *is* a shared file, and the twin is saved in its
stead.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from pytest_hyperv.backends.qemu import migration, overlay
from pytest_hyperv.backends.qemu.bundle import DEVICES, RAM
from pytest_hyperv.backends.qemu.command_line import VARIABLES, Ram
from pytest_hyperv.backends.qemu.instance import Instance, Launch
from pytest_hyperv.backends.qemu.qmp import Monitor
from pytest_hyperv.errors import GuestError
from pytest_hyperv.guest import GuestSession
from pytest_hyperv.spec import OsFamily

TWIN = "twin"
QUIET = """
busy() { read -r _ user nice system _ < /proc/stat; busy=$((user + nice + system)); }
sync; calm=0; looks=0; busy
until [ $calm = 2 ] || [ $looks = 50 ]; do
  before=$busy; sleep 0.1; busy
  if [ $((busy - before)) -le 3 ]; then calm=$((calm + 1)); else calm=0; fi
  looks=$((looks + 1))
done
"""
"""What a guest still has to write, and what follows from that, would otherwise be done by every clone anew. So it
writes; then its processors have to be idle for most of 0.2 s (/proc/stat counts hundredths), for which it has 5 s."""
QUIET_TIMEOUT = 120.0


def quieten(session: GuestSession, os_family: OsFamily) -> None:
    """Have a guest that is about to be saved do what it put off. One that cannot is saved as it is."""
    if os_family == "linux":
        with contextlib.suppress(GuestError):
            session.run(["sh", "-c", QUIET], timeout=QUIET_TIMEOUT)


def new_ram_file(path: Path, size: int) -> Ram:
    """An empty, sparse file for ``size`` bytes of guest memory, private to this user."""
    with path.open("xb") as file:
        path.chmod(0o600)
        file.truncate(size)
    return Ram(path, shared=True)


def save_devices(monitor: Monitor, folder: Path) -> None:
    """Save a stopped machine whose memory is a shared file; only its devices go to ``folder``."""
    migration.send_file(monitor, folder / DEVICES)


def save_through_twin(
    name: str, monitor: Monitor, source: Path, folder: Path, *, ram_size: int, launch: Callable[[Path, Ram], Launch]
) -> None:
    """Save the stopped machine behind ``monitor``, which lives in ``source``, into ``folder``: memory and devices.

    ``launch`` tells how to start the twin on an overlay of its own and on its memory. It never runs, so what lies
    below the overlay does not matter, as long as it can be opened read-only. The source is left as it was, ready to
    run on.
    """
    ram = new_ram_file(folder / RAM, ram_size)
    twin_folder = folder / TWIN
    twin_folder.mkdir(mode=0o700)
    shutil.copyfile(source / VARIABLES, twin_folder / VARIABLES)
    top = overlay.make_overlay(source / overlay.TEMPLATE, twin_folder / "disk.qcow2")
    twin = Instance(f"{name}-twin", twin_folder, on_event=lambda _: None, on_end=lambda: None)
    twin.start(launch(top, ram))
    try:
        migration.transfer(monitor, twin.monitor)
        migration.send_file(twin.monitor, folder / DEVICES)
    finally:
        twin.kill()
        shutil.rmtree(twin_folder, ignore_errors=True)
