"""Run a host program to its end, with a deadline, and turn every way it can fail into one ImageError."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from pytest_hyperv.errors import ImageError

WATCH = 'trap "kill -s KILL 0" TERM; "$@" & wait "$!"'
"""A shell script that runs its arguments and kills its process group when it is told to end."""

DISK_FULL = re.compile("No space left on device|Disk quota exceeded|enough free space")
QUOTED_LINES = 12
"""How many of a failed program's last lines a message quotes."""


def run_program(
    argv: Sequence[str],
    *,
    timeout: float,
    image: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
    input: str | None = None,
    accepted: Container[int] = (0,),
) -> str:
    """What the program wrote to its standard output, or "" when ``stdout`` is a file descriptor.

    ``timeout`` is in seconds; then the program and all it started are killed, as when this process dies (except for
    one that gets ``input``). ``env`` is added to the environment; ``accepted`` are the exit codes of success.
    Raises ImageError when the program is missing, fails, runs out of time or finds the disk full.
    """
    program = find_program(argv[0], image=image)
    process = subprocess.Popen(
        [*([] if input is not None else _watched()), program, *argv[1:]],
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
        pass_fds=tuple(pass_fds),
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(input, timeout=timeout)
    except subprocess.TimeoutExpired as too_long:
        raise ImageError(
            f"{argv[0]} did not end within {timeout:.0f} s and was stopped.",
            hint="See whether the network, the mirror or the disk is stuck, then try again.",
            image=image,
        ) from too_long
    finally:
        _stop(process)
    if process.returncode not in accepted:
        raise _failure(argv[0], process.returncode, err or out or "", image)
    return out or ""


def find_program(name: str, *, image: str = "") -> str:
    """The path of a host program, the system folders included. Raises ImageError when it is not installed."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=folders)
    if found is None:
        raise ImageError(f"The program {name} is not installed.", hint="Run: pytest-hyperv setup", image=image)
    return found


def _watched() -> list[str]:
    """A prefix that ends the program and all it started when this process dies, in whatever way.

    The kernel tells a shell of the death (prctl(2), PR_SET_PDEATHSIG), and the shell kills its process group: some
    programs, mmdebstrap for one, ignore a signal sent to them alone.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", "sh", "-c", WATCH, "watch"] if setpriv else []


def _stop(process: subprocess.Popen[str]) -> None:
    """End the program, if it still runs, and its whole process group where there are such."""
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _failure(program: str, returncode: int, text: str, image: str) -> ImageError:
    tail = "\n".join("  " + line for line in text.strip().splitlines()[-QUOTED_LINES:])
    if DISK_FULL.search(text):
        return ImageError(
            f"The disk is full: {program} could not write.\n{tail}",
            hint="Free some space (about 3 GB while a golden image is made), or set PYTEST_HYPERV_CACHE to a folder "
            "on a larger disk. Nothing half-made was kept.",
            image=image,
        )
    return ImageError(
        f"{program} failed with status {returncode}:\n{tail}",
        hint="What the program said is above; nothing half-made was kept.",
        image=image,
    )
