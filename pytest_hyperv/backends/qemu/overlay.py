"""Empty qcow2 overlays: made once by qemu-img, then copied, because an empty one is the same bytes every time.

No backing name is written into them: the block graph on QEMU's command line says what lies under what.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from pytest_hyperv.backends.qemu.tools import IMG, program
from pytest_hyperv.errors import HostError

TEMPLATE = "overlay.qcow2"
TIMEOUT = 60.0


def virtual_size(disk: Path) -> int:
    """The size in bytes that a guest sees of a qcow2 ``disk``. Raises HostError when qemu-img cannot read it."""
    answer = _qemu_img("info", "--output=json", "--force-share", f"json:{_opened(disk)}")
    return int(json.loads(answer)["virtual-size"])


def make_template(folder: Path, size: int) -> Path:
    """Make the empty overlay of ``size`` virtual bytes in ``folder``, to be copied by ``make_overlay``."""
    template = folder / TEMPLATE
    _qemu_img("create", "-q", "-f", "qcow2", str(template), str(size))
    template.chmod(0o600)
    return template


def make_overlay(template: Path, target: Path) -> Path:
    """A fresh, empty overlay at ``target``. Raises OSError when the disk is full or the folder read-only."""
    shutil.copyfile(template, target)
    target.chmod(0o600)
    return target


def trouble(machine: str, folder: Path, what: str, error: OSError) -> HostError:
    """What to raise when the files of a machine in ``folder`` could not be written: "could not be" ``what``."""
    return HostError(
        f"{machine} could not be {what}: {error.strerror or error}",
        hint=f"free space below {folder.parent}, or choose another folder with --hyperv-cache.",
    )


def _opened(disk: Path) -> str:
    return json.dumps({"driver": "qcow2", "backing": None, "file": {"driver": "file", "filename": str(disk)}})


def _qemu_img(*arguments: str) -> str:
    try:
        done = subprocess.run([program(IMG), *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise HostError(f"qemu-img {arguments[0]} did not end in {TIMEOUT:.0f} s") from error
    if done.returncode != 0:
        raise HostError(f"qemu-img {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
