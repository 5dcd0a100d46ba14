"""Golden disks on a host: sealed VHDX files below the store, named by their content, parents of all other disks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.backends.hyperv.scripts import text
from pytest_hyperv.errors import HostError
from pytest_hyperv.image_files import DiskFile, convert
from pytest_hyperv.progress import Progress, Task
from pytest_hyperv.psrp.calls import Script
from pytest_hyperv.spec import Image

CALL_BYTES = 32 * 1024 * 1024
PIECE = 1024 * 1024
SEND_TIMEOUT = 300.0
"""Seconds one call of `CALL_BYTES` may take."""
DIGEST_TIMEOUT = 3600.0
OTHERS_BRING = 3600.0
"""Seconds to wait for another run that brings the same image."""
Alone = Callable[[str, float], AbstractContextManager[None]]


def disk_on_host(host: HypervHost, image: Image, progress: Progress, alone: Alone, workspace: Path) -> str:
    """The path of the image's disk on the host, brought there first when it is not there yet.

    Two runs that bring one image would write into one file: each is ``alone`` while it does. ``workspace`` is a
    folder for what is written meanwhile; whoever made it removes it when this process dies. Raises ImageError when
    the image cannot be converted, HostError when it does not arrive whole, CmdletError.
    """
    path = f"{host.store}\\images\\{image.digest.removeprefix('sha256:')[:32]}.vhdx"
    if not host.ask(cmdlets.exists(path)).one:
        with (
            progress.task(f"Bringing the disk of {image.name} to {host.name}", steps=3) as task,
            alone(f"the image {image.name}", OTHERS_BRING),
        ):
            if not host.ask(cmdlets.exists(path)).one:
                _bring(host, image, path, task, workspace)
    return path


def _bring(host: HypervHost, image: Image, path: str, task: Task, workspace: Path) -> None:
    if image.format == "vhdx":
        _send(host, image.disk, path, task)
        return
    task.step("converting it to VHDX")
    disk = workspace / "golden.vhdx"
    try:
        convert(DiskFile(image.disk, image.format, image.virtual_size), disk, "vhdx", image=image.name)
        _send(host, disk, path, task)
    finally:
        disk.unlink(missing_ok=True)


def _send(host: HypervHost, disk: Path, path: str, task: Task) -> None:
    """In calls of bounded size, so that the host never holds more than one of them in memory."""
    task.step("sending it")
    digest, offset, size = hashlib.sha256(), 0, disk.stat().st_size
    with disk.open("rb") as file:
        while offset < size:
            pieces = list(_pieces(file.read(CALL_BYTES)))
            for piece in pieces:
                digest.update(piece)
            script = Script(text("put-file"), Path=path, Offset=offset).in_local_scope()
            told = host.run(script, timeout=SEND_TIMEOUT, input=pieces)
            offset += sum(map(len, pieces))
            if told.errors or told.one.Length != offset:
                why = str(told.errors[0]) if told.errors else f"{told.one.Length} of {offset} bytes"
                raise _not_whole(host, path, why)
    task.step("checking it")
    there = host.run(Script(text("finish-file"), Path=path).in_local_scope(), timeout=DIGEST_TIMEOUT)
    if there.errors or there.one.Sha256 != digest.hexdigest():
        raise _not_whole(host, path, str(there.errors[0]) if there.errors else "its digest differs")
    host.do(cmdlets.read_only(path))


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), PIECE):
        yield data[at : at + PIECE]


def _not_whole(host: HypervHost, path: str, why: str) -> HostError:
    return HostError(
        f"{path} did not arrive whole on {host.name}: {why}",
        hint="see the free space of that drive; it is sent anew at the next try.",
        host=host.name,
    )
