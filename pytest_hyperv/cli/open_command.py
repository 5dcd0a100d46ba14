"""``pytest-hyperv open``: the screen of a machine, with its keyboard and mouse."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import click

from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.machine_argument import Visit, machine_argument
from pytest_hyperv.errors import HostError


@click.command("open")
@cache_option
@machine_argument
@click.option(
    "--print", "only_print", is_flag=True, help="Start nothing: print how to see the screen, and wait for Ctrl-C."
)
def command(cache: Path, name: str, only_print: bool) -> None:
    """Show the screen of VM in a window: vmconnect for Hyper-V, a VNC viewer for QEMU. Lasts until it is closed.

    The screen of a QEMU machine is served on a socket in the machine's own folder, which this user alone can open.
    """
    with Visit(cache, name).entered() as machine:
        viewers = machine.viewers()
        found = next((viewer for viewer in viewers if shutil.which(viewer[0])), None)
        if only_print:
            try:
                click.echo(subprocess.list2cmdline(viewers[0]))
                threading.Event().wait()
            except KeyboardInterrupt:
                return
        if found is None:
            raise HostError(
                f"there is no program here that shows the screen of {machine.name}",
                hint=f"install one of {', '.join(viewer[0] for viewer in viewers)}; or use --print.",
            )
        subprocess.run(found, check=False)
