"""The programs this backend starts, and what to do when one is missing."""

from __future__ import annotations

import shutil
from functools import cache

from pytest_hyperv.errors import HostError

SYSTEM = "qemu-system-x86_64"
IMG = "qemu-img"
SWTPM = "swtpm"


@cache
def program(name: str) -> str:
    """The absolute path of a program. Raises HostError with the way to install it."""
    found = shutil.which(name)
    if found is None:
        raise HostError(
            f"the program {name} is not installed on this machine", hint="run `pytest-hyperv setup`, which installs it."
        )
    return found
