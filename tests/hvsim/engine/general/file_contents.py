"""Cmdlets over what is in files: Get-Content, Set-Content, Get-FileHash; and Join-Path, Split-Path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PureWindowsPath

from tests.hvsim.engine import errors
from tests.hvsim.engine.general import file_objects
from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.values import NetObject, net_text

ALGORITHMS = ("SHA1", "SHA256", "SHA384", "SHA512", "MD5")


def get_content(inv: Invocation) -> Iterator[object]:
    """The lines of text files, or with -Raw the whole text."""
    for _, real in file_objects.existing(inv):
        text = real.read_bytes().decode("utf-8-sig", "replace")
        if inv.value("Raw"):
            yield text
            continue
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
        limit, last = inv.value("TotalCount"), inv.value("Tail")
        yield from lines[-last:] if last else lines[: None if limit is None else int(limit)]


def set_content(inv: Invocation) -> Iterator[object]:
    """Write the values to the files, one a line."""
    for path in file_objects.paths(inv):
        real = inv.host.drives.resolve(path)
        if not real.parent.is_dir():
            raise file_objects.not_there(path)
        if file_objects.is_read_only(real) if real.exists() else False:
            raise errors.refusal(
                inv.command,
                f"Access to the path '{path}' is denied.",
                "GetContentWriterUnauthorizedAccessError",
                "PermissionDenied",
                path,
            )
        end = "" if inv.value("NoNewline") else "\r\n"
        real.write_text("".join(net_text(value) + end for value in inv.value("Value")), encoding="utf-8", newline="")
    return iter(())


def get_file_hash(inv: Invocation) -> Iterator[object]:
    """The digest of each file, in capitals."""
    algorithm = str(inv.value("Algorithm") or "SHA256").upper()
    if algorithm not in ALGORITHMS:
        raise errors.not_simulated(inv.command)
    for path, real in file_objects.existing(inv):
        with real.open("rb") as stream:
            digest = hashlib.file_digest(stream, algorithm.lower()).hexdigest().upper()
        bag = {"Algorithm": algorithm, "Hash": digest, "Path": path}
        yield NetObject(("Microsoft.Powershell.Utility.FileHash", "System.Object"), bag)


def join_path(inv: Invocation) -> Iterator[object]:
    """Each path with the child after it."""
    for path in inv.value("Path"):
        yield str(path).rstrip("\\/") + "\\" + str(inv.value("ChildPath")).lstrip("\\/")


def split_path(inv: Invocation) -> Iterator[object]:
    """The parent of each path, or its last part with -Leaf, or its drive with -Qualifier."""
    for path in file_objects.paths(inv):
        windows = PureWindowsPath(path)
        yield windows.name if inv.value("Leaf") else windows.drive if inv.value("Qualifier") else str(windows.parent)
