"""copy-in, finish-copy and copy-out played: files of the guest in pieces, with digests."""

from __future__ import annotations

import hashlib
import ntpath
from collections.abc import Iterator

from tests.hvsim.engine.invocation import ScriptInvocation
from tests.hvsim.engine.values import Int64, custom_object
from tests.hvsim.guest.failures import RemotingFailure
from tests.hvsim.guest.files import GuestFileError, absolute
from tests.hvsim.guest.remote_values import remote
from tests.hvsim.guest.session import in_session
from tests.hvsim.guest.shell_state import FIRST_FOLDER

PIECE = 1024 * 1024


def copy_in(invocation: ScriptInvocation) -> Iterator[object]:
    """Append what is piped in to PATH.part; the part is there even when nothing is, but then nothing is emitted."""
    path, offset = str(invocation.arguments["Path"]), int(invocation.arguments["Offset"] or 0)
    part = absolute(path, FIRST_FOLDER) + ".part"
    with in_session(invocation) as opened:
        if opened is None:
            return
        session, system = opened
        with system.open() as guest:
            try:
                if not offset:
                    guest.files.make_folder(ntpath.dirname(part))
                    guest.files.write(part, b"")
                length = len(guest.files.read(part))
            except GuestFileError as error:
                raise _file_failure("Open", 2, error) from error
        if length != offset:
            message = f"the part of {path} does not end at byte {offset}"
            raise RemotingFailure(message, message, "OperationStopped", "System.Management.Automation.RemoteException")
        pieces = [bytes(piece) for piece in invocation.input if isinstance(piece, bytes | bytearray)]
        if not pieces:
            return
        with system.open() as guest:
            guest.files.append(part, b"".join(pieces))
        length += sum(len(piece) for piece in pieces)
        yield remote(custom_object({"Length": Int64(length)}), session)


def finish_copy(invocation: ScriptInvocation) -> Iterator[object]:
    """Put PATH.part in the place of Path."""
    path = absolute(str(invocation.arguments["Path"]), FIRST_FOLDER)
    with in_session(invocation) as opened:
        if opened is None:
            return
        session, system = opened
        with system.open() as guest:
            try:
                data = guest.files.read(path + ".part")
                guest.files.write(path, data)
                guest.files.remove(path + ".part")
            except GuestFileError as error:
                raise _file_failure("Move", 2, error) from error
        digest = hashlib.sha256(data).hexdigest()
        yield remote(custom_object({"Length": Int64(len(data)), "Sha256": digest}), session)


def copy_out(invocation: ScriptInvocation) -> Iterator[object]:
    """Pieces of a file, or its digest."""
    given = invocation.arguments
    path, offset, count = absolute(str(given["Path"]), FIRST_FOLDER), int(given["Offset"] or 0), int(given["Count"])
    with in_session(invocation) as opened:
        if opened is None:
            return
        session, system = opened
        with system.open() as guest:
            try:
                data = guest.files.read(path)
            except GuestFileError as error:
                raise _constructor_failure(error) from error
        if given["Digest"]:
            facts = {"Length": Int64(len(data)), "Sha256": hashlib.sha256(data).hexdigest()}
            yield remote(custom_object(facts), session)
            return
        wanted = data[offset : offset + count]
        for place in range(0, len(wanted), PIECE):
            yield remote(wanted[place : place + PIECE], session)
        yield remote(custom_object({"Length": Int64(len(data)), "Read": Int64(len(wanted))}), session)


def _file_failure(method: str, arguments: int, error: GuestFileError) -> RemotingFailure:
    return RemotingFailure(
        f'Exception calling "{method}" with "{arguments}" argument(s): "{error.message}"',
        error.exception.rpartition(".")[2],
        "NotSpecified",
        "System.Management.Automation.RemoteException",
    )


def _constructor_failure(error: GuestFileError) -> RemotingFailure:
    """New-Object reports the exception of a constructor under its own name."""
    return RemotingFailure(
        f'Exception calling ".ctor" with "4" argument(s): "{error.message}"',
        "ConstructorInvokedThrowException,Microsoft.PowerShell.Commands.NewObjectCommand",
        "InvalidOperation",
        "System.Management.Automation.RemoteException",
    )
