"""``pytest-hyperv vms``: the machines that live."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import psutil

from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.screen import table
from pytest_hyperv.durations import written
from pytest_hyperv.identity import processes_marked
from pytest_hyperv.ledger import TOKEN, Ledger, Record
from pytest_hyperv.visitors import visitors
from pytest_hyperv.visits import command_to_enter


@click.command()
@cache_option
@click.option("--json", "as_json", is_flag=True, help="Print facts a program can read.")
def command(cache: Path, as_json: bool) -> None:
    """List the machines that live: whose they are, what for, since when, and the memory their processes hold."""
    facts = [_facts(record, cache) for record in Ledger(cache / "machines").records()]
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    elif facts:
        rows = [("NAME", "BACKEND", "FOR", "OWNER", "AGE", "MEMORY", "PROCESSES")]
        click.echo(table([*rows, *map(_row, facts)]))
        for kept in facts:
            if kept["kept"]:
                click.echo(f"to enter {kept['name']}: {kept['enter']}")
    else:
        click.echo("No machine lives.")


def _facts(record: Record, cache: Path) -> dict[str, object]:
    """Age in seconds, ``kept_until`` since 1970 (None: no end), memory in bytes: what is private to the processes."""
    processes = processes_marked(TOKEN, record.token)
    return {
        "name": record.name,
        "id": record.id,
        "backend": record.backend,
        "purpose": record.purpose,
        "owner": record.owner.pid,
        "abandoned": record.abandoned(),
        "kept": record.kept,
        "kept_until": record.kept_until or None,
        "visitors": visitors(record.folder),
        "enter": command_to_enter(record.name, cache) if record.kept else "",
        "age": round(time.time() - record.created, 1),
        "memory": sum(map(_private, processes)),
        "processes": [process.pid for process in processes],
    }


def _private(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0


def _kept(facts: dict[str, object]) -> str:
    until = facts["kept_until"]
    left = f" for {written(until - time.time())}" if isinstance(until, float) else ""
    inside = facts["visitors"]
    assert isinstance(inside, list)
    return f"kept{left}: {facts['kept']}" + "".join(f", process {pid} is in it" for pid in inside)


def _row(facts: dict[str, object]) -> tuple[str, ...]:
    owner = _kept(facts) if facts["kept"] else f"process {facts['owner']}"
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
