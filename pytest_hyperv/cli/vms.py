"""``pytest-hyperv vms``: the machines that live."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import psutil

from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.screen import table
from pytest_hyperv.identity import processes_marked
from pytest_hyperv.ledger import TOKEN, Ledger, Record


@click.command()
@cache_option
@click.option("--json", "as_json", is_flag=True, help="Print facts a program can read.")
def command(cache: Path, as_json: bool) -> None:
    """List the machines that live: whose they are, what for, since when, and the memory their processes hold."""
    facts = [_facts(record) for record in Ledger(cache / "machines").records()]
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    elif facts:
        rows = [("NAME", "BACKEND", "FOR", "OWNER", "AGE", "MEMORY", "PROCESSES")]
        click.echo(table([*rows, *map(_row, facts)]))
    else:
        click.echo("No machine lives.")


def _facts(record: Record) -> dict[str, object]:
    """Age in seconds; memory in bytes, what is private to the machine's processes."""
    processes = processes_marked(TOKEN, record.token)
    return {
        "name": record.name,
        "id": record.id,
        "backend": record.backend,
        "purpose": record.purpose,
        "owner": record.owner.pid,
        "abandoned": record.abandoned(),
        "kept": record.kept,
        "age": round(time.time() - record.created, 1),
        "memory": sum(map(_private, processes)),
        "processes": [process.pid for process in processes],
    }


def _private(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0


def _row(facts: dict[str, object]) -> tuple[str, ...]:
    owner = "kept: " + str(facts["kept"]) if facts["kept"] else f"process {facts['owner']}"
    owner = f"{owner}, dead: run `pytest-hyperv gc`" if facts["abandoned"] else owner
    memory, age, pids = facts["memory"], facts["age"], facts["processes"]
    assert isinstance(memory, int)
    assert isinstance(age, float)
    assert isinstance(pids, list)
    return (
        str(facts["name"]),
        str(facts["backend"]),
        str(facts["purpose"]),
        owner,
        f"{age:.0f} s",
        f"{memory >> 20} MiB",
        " ".join(map(str, pids)) or "none",
    )
