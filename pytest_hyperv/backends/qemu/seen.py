"""What QEMU shows of a guest: its screen and its memory."""

from __future__ import annotations

from pathlib import Path

from pytest_hyperv.backends.qemu.qmp import Monitor


def screenshot(monitor: Monitor, folder: Path) -> bytes:
    """The screen as a PNG file, by way of a file in ``folder``."""
    target = folder / "screen.png"
    monitor.execute("screendump", filename=str(target), format="png")
    picture = target.read_bytes()
    target.unlink()
    return picture


def dump_memory(monitor: Monitor, target: Path, timeout: float) -> None:
    """The guest's memory into ``target``, compressed, as makedumpfile writes it and crash(8) reads it.

    QEMU leaves a guest that had paused itself, a panicked one for example, as it was. Raises MachineError.
    """
    monitor.execute("dump-guest-memory", timeout=timeout, paging=False, protocol=f"file:{target}", format="kdump-zlib")
