"""The scripts that run on the host itself: files of the host, a machine's screen and its serial port."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

from filelock import FileLock, Timeout

from tests.hvsim.engine.invocation import ScriptInvocation
from tests.hvsim.engine.values import Int64, custom_object
from tests.hvsim.guest import serial
from tests.hvsim.guest.failures import RemotingFailure, dotnet_failure
from tests.hvsim.guest.system import ALIVE
from tests.hvsim.host.machines import readiness

DARK, BOOTING, DESKTOP = 0x0000, 0x001F, 0x0410
"""RGB565: nothing on the screen yet, the system coming up, and up."""
RAN_ON = "System.Management.Automation.RuntimeException"


def put_file(invocation: ScriptInvocation) -> Iterator[object]:
    """Append what is piped in to PATH.part on the host."""
    path, offset = str(invocation.arguments["Path"]), int(invocation.arguments["Offset"] or 0)
    part = invocation.host.drives.resolve(path + ".part")
    if not offset:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"")
    if not part.exists() or part.stat().st_size != offset:
        raise _thrown(f"the part of {path} does not end at byte {offset}")
    with part.open("ab") as stream:
        for piece in invocation.input:
            if isinstance(piece, bytes | bytearray):
                stream.write(piece)
    yield custom_object({"Length": Int64(part.stat().st_size)})


def finish_file(invocation: ScriptInvocation) -> Iterator[object]:
    """Put PATH.part in the place of Path on the host."""
    path = str(invocation.arguments["Path"])
    part, real = (invocation.host.drives.resolve(each) for each in (path + ".part", path))
    if not part.exists():
        missing = f"Could not find file '{path}.part'."
        raise dotnet_failure("Move", 2, "System.IO.FileNotFoundException", missing)
    part.replace(real)
    with real.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    yield custom_object({"Length": Int64(real.stat().st_size), "Sha256": digest})


def get_file(invocation: ScriptInvocation) -> Iterator[object]:
    """Pieces of a file of the host, or its digest, as copy-out gives them of a guest's."""
    given = invocation.arguments
    real = invocation.host.drives.resolve(str(given["Path"]))
    if not real.is_file():
        missing = f"Could not find file '{given['Path']}'."
        raise dotnet_failure(".ctor", 4, "System.IO.FileNotFoundException", missing)
    data = real.read_bytes()
    if given["Digest"]:
        yield custom_object({"Length": Int64(len(data)), "Sha256": hashlib.sha256(data).hexdigest()})
        return
    offset = int(given["Offset"] or 0)
    wanted = data[offset : offset + int(given["Count"])]
    yield from (wanted[place : place + 2**20] for place in range(0, len(wanted), 2**20))
    yield custom_object({"Length": Int64(len(data)), "Read": Int64(len(wanted))})


def lease_book(invocation: ScriptInvocation) -> Iterator[object]:
    """Read the book of leases, and replace it if nobody else did. Its time is the real one, whatever the host's."""
    given = invocation.arguments
    folder = invocation.host.drives.resolve(str(given["Folder"]))
    folder.mkdir(parents=True, exist_ok=True)
    book, timeout = folder / "book.json", int(given["TimeoutMilliseconds"])
    try:
        with FileLock(folder / "book.json.lock", timeout / 1000):
            text = book.read_text("utf-8") if book.exists() else ""
            written = bool(given["New"]) and text == str(given["Expected"])
            if written:
                text = str(given["New"])
                new = folder / "book.json.new"
                new.write_text(text, "utf-8")
                new.replace(book)
    except Timeout:
        raise _thrown(f"others have been at {given['Folder']}\\book.json for {timeout} ms") from None
    yield custom_object({"Text": text, "Written": written, "Now": Int64(int(time.time() * 1000))})


def screenshot(invocation: ScriptInvocation) -> Iterator[object]:
    """One colour that tells how far the guest is, with a white bar on top, so that no picture is empty."""
    identity = str(invocation.arguments["VMId"])
    with invocation.host.transaction() as world:
        vm = world.machines.get(identity.lower())
        if vm is None:
            raise _thrown(f"there is no machine {identity.upper()}")
        if vm.state not in ALIVE:
            raise _thrown(f"the machine {identity.upper()} shows no screen")
        width, height = vm.settings.resolution
        ready = readiness(vm, world.now)
    colour = DESKTOP if ready.login else BOOTING if ready.heartbeat else DARK
    bar = height // 16
    data = b"\xff\xff" * (width * bar) + colour.to_bytes(2, "little") * (width * (height - bar))
    yield custom_object({"Width": width, "Height": height, "Data": data})


def console(invocation: ScriptInvocation) -> Iterator[object]:
    """What arrives on a machine's serial port until the machine stops."""
    given = invocation.arguments
    timeout = int(given["TimeoutMilliseconds"]) / 1000
    yield from serial.follow(invocation.host, str(given["PipeName"]), timeout, invocation.streams.sleep)


def _thrown(message: str) -> RemotingFailure:
    return RemotingFailure(message, message, "OperationStopped", RAN_ON)
