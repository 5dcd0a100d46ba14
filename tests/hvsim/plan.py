"""Plan a fault from the command line: ``python -m tests.hvsim.plan FOLDER KIND [--times N] [--on CMDLET] ...``."""

from __future__ import annotations

from pathlib import Path

import click

from tests.hvsim.host.faults import KINDS, Fault, clear_faults, plan_fault


@click.command(epilog="\b\n" + "\n".join(f"{kind}: {what}" for kind, what in KINDS.items()))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("kind", type=click.Choice([*KINDS, "clear"]))
@click.option("--times", default=1, show_default=True, help="How often it strikes.")
@click.option("--on", default=None, help="The cmdlet or occasion it strikes at; any when absent.")
@click.option("--machine", default=None, help="Name or id of the machine; any when absent.")
@click.option("--seconds", default=5.0, show_default=True, help="How long it lasts, in simulated seconds.")
@click.option("--code", default="0x000000D1", show_default=True, help="The bugcheck of a guest that crashes.")
def main(folder: Path, kind: str, times: int, on: str | None, machine: str | None, seconds: float, code: str) -> None:
    """Let KIND happen on the simulated host in FOLDER, or clear what was planned."""
    if kind == "clear":
        clear_faults(folder)
    else:
        plan_fault(folder, Fault(kind, times=times, on=on, machine=machine, seconds=seconds, code=code))


if __name__ == "__main__":
    main()
