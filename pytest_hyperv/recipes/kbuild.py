"""Pack the build tree of the guest's kernel, so that a host can compile modules for it without installing anything.

Debian spreads the tree over three packages that expect to lie in /usr/src. Packed, it works from any folder::

    tar -xf kbuild.tar && make -C build M=$PWD/my_module modules
"""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

from pytest_hyperv.programs import run_program

BUILD = "build"
"""The link at the top of the packed tree to give to ``make -C``."""

COMPILER = b"CC = $(if $(shell command -v gcc-12),gcc-12,gcc)\n"
"""Debian built the kernel with gcc-12; a newer gcc compiles modules for it too."""

NOT_NEEDED = re.compile(
    r"usr/share/"
    r"|.*-common/arch/(?!x86(/|$))[^/]+/"
    r"|.*-common/include/dt-bindings/"
    r"|.*/include/config/(?!.*\.(conf|cmd|release)$)"
)
"""Documentation, other processors, device trees, and 2,800 empty stamps that only an incremental kernel build reads."""


def pack_kbuild(debs: Path, target: Path, *, kernel: str, image: str) -> None:
    """Make the tar file ``target`` from the headers' packages in ``debs``. Raises ImageError.

    ``kernel`` is the release, as "6.1.0-56-cloud-amd64".
    """
    unpacked = target.with_suffix(".part")
    own = f"usr/src/linux-headers-{kernel}"
    shared = f"linux-headers-{kernel.removesuffix('-cloud-amd64')}-common"
    with tarfile.open(target, "w") as packed:
        _add_link(packed, BUILD, own)
        for deb in sorted([*debs.glob("linux-headers-*.deb"), *debs.glob("linux-kbuild-*.deb")]):
            with unpacked.open("wb") as out:
                run_program(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=out.fileno(), timeout=120, image=image)
            with tarfile.open(unpacked) as package:
                _copy(package, packed, own, shared)
    unpacked.unlink()


def _copy(package: tarfile.TarFile, packed: tarfile.TarFile, own: str, shared: str) -> None:
    """Copy what is needed, and replace the two absolute things: where the shared part lies, and the compiler's name."""
    for entry in package:
        entry.name = entry.name.removeprefix("./")
        if entry.isdir() or entry.name.startswith("lib/") or NOT_NEEDED.match(entry.name):
            continue
        content = package.extractfile(entry) if entry.isreg() else None
        if content is not None and entry.name == f"{own}/Makefile":
            content = _text(entry, f"include $(dir $(lastword $(MAKEFILE_LIST)))../{shared}/Makefile\n".encode())
        elif content is not None and entry.name == f"{own}/.kernelvariables":
            content = _text(entry, re.sub(rb"(?m)^CC =.*\n", COMPILER, content.read()))
        packed.addfile(entry, content)


def _text(entry: tarfile.TarInfo, content: bytes) -> io.BytesIO:
    entry.size = len(content)
    return io.BytesIO(content)


def _add_link(packed: tarfile.TarFile, name: str, target: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    packed.addfile(link)
