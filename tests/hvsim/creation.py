"""Makes simulated Hyper-V hosts: ``python -m tests.hvsim.creation FOLDER [--version 2022] [--edition client] ...``.

Prints the path of the host's launcher, an executable that stands in for powershell.exe.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import MISSING, fields
from pathlib import Path

from tests.hvsim.host.options import HostOptions
from tests.hvsim.host.world import SimHost

LAUNCHER = "powershell.exe"
PROJECT = Path(__file__).resolve().parents[2]


def make_host(folder: Path, options: HostOptions | None = None) -> Path:
    """Make a host in `folder`, which is made if need be; its launcher ``bin/powershell.exe``.

    A test puts that folder ``bin`` first on PATH, or starts the launcher itself.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (options or HostOptions()).save(folder)
    with SimHost(folder).transaction():
        launcher = folder / "bin" / LAUNCHER
    launcher.parent.mkdir(exist_ok=True)
    path = os.pathsep.join([str(PROJECT), *([os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else [])])
    launcher.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(path)}\n"
        "export PYTHONPATH\n"
        f'exec {shlex.quote(sys.executable)} -m tests.hvsim --host {shlex.quote(str(folder))} "$@"\n',
        encoding="utf-8",
    )
    launcher.chmod(0o755)
    return launcher


def main(arguments: list[str]) -> int:
    """Make a host as the command line says."""
    parser = argparse.ArgumentParser(prog="tests.hvsim.creation", description="Make a simulated Hyper-V host.")
    parser.add_argument("folder", type=Path)
    for option in fields(HostOptions):
        default = option.default
        assert default is not MISSING
        name = f"--{option.name}"
        if isinstance(default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=default)
        else:
            parser.add_argument(name, type=type(default), default=default)
    chosen = vars(parser.parse_args(arguments))
    folder = chosen.pop("folder")
    sys.stdout.write(f"{make_host(folder, HostOptions(**chosen))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
