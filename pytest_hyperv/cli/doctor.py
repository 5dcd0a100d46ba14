"""``pytest-hyperv doctor``: what each backend can do from here, why not, and what would change that."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from textwrap import indent

import click

from pytest_hyperv.backends.diagnosis import Diagnosis, diagnose
from pytest_hyperv.backends.hyperv.address import HostAddress
from pytest_hyperv.capabilities import NAMES, Capability
from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.screen import table
from pytest_hyperv.errors import SettingsError
from pytest_hyperv.inventory import Host, chosen, read_inventory
from pytest_hyperv.options import BACKENDS
from pytest_hyperv.spec import GIB

HOST_VARIABLE, INVENTORY_VARIABLE = "PYTEST_HYPERV_HOST", "PYTEST_HYPERV_INVENTORY"
AT_ONCE = 16
"""Hosts of an inventory that are looked at at the same time."""
NEEDS = {
    "slat": "second level address translation",
    "virtualization-firmware": "virtualization switched on in the firmware",
    "module": "the Hyper-V module for PowerShell",
    "hypervisor": "the hypervisor runs",
    "rights": "the account may use Hyper-V",
    "service": "Hyper-V's service answers",
}
"""What Hyper-V needs, in words."""


@click.command()
@cache_option
@click.option("--backend", type=click.Choice(BACKENDS[1:]), help="Look at this one alone; it decides the exit status.")
@click.option(
    "--host",
    metavar="ADDRESS",
    help=f"Look at the Hyper-V host there: local, winrm://user@host, ssh://user@host; also {HOST_VARIABLE}.",
)
@click.option(
    "--inventory",
    metavar="FILE",
    envvar=INVENTORY_VARIABLE,
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Look at every host of this file, or at the one that --host names; also {INVENTORY_VARIABLE}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print facts a program can read.")
@click.pass_context
def command(
    ctx: click.Context, cache: Path, backend: str | None, host: str | None, inventory: Path | None, as_json: bool
) -> None:
    """Tell for every backend or host whether it can run machines from here, and what it can and cannot do.

    Exit status 1 when nothing can run.
    """
    named = host or os.environ.get(HOST_VARIABLE)
    if inventory is not None:
        hosts = _hosts(inventory, named, backend)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            told = list(threads.map(lambda one: diagnose(one.backend, cache, one.address), hosts))
        parts = [
            [f"[{one.name}] {_told(one)}".rstrip(), *_lines(found)] for one, found in zip(hosts, told, strict=True)
        ]
        facts = {"hosts": [{**_facts(one), **asdict(found)} for one, found in zip(hosts, told, strict=True)]}
    else:
        backends = [backend] if backend else ["hyperv"] if host else list(BACKENDS[1:])
        address = _address(named or "local")
        told = [diagnose(name, cache, address) for name in backends]
        parts, facts = [list(_lines(one)) for one in told], {"backends": [*map(asdict, told)]}
    usable = any(one.usable for one in told)
    if as_json:
        click.echo(json.dumps({"usable": usable, **facts}, indent=1))
    else:
        click.echo("\n\n".join(map("\n".join, parts)))
    if not usable:
        ctx.exit(1)


def _hosts(inventory: Path, named: str | None, backend: str | None) -> Sequence[Host]:
    """The hosts that are meant."""
    try:
        hosts = read_inventory(inventory)
        hosts = chosen(hosts, named, inventory) if named else hosts
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    found = [host for host in hosts if backend in (None, host.backend)]
    if not found:
        raise click.UsageError(f"No host of {inventory} that is meant is one of {backend}.")
    return found


def _told(host: Host) -> str:
    tags, limits = ", ".join(sorted(host.tags)), str(host.limits)
    return "; ".join(filter(None, (tags and f"tags {tags}", limits and f"limits {limits}")))


def _facts(host: Host) -> dict[str, object]:
    """Memory in bytes."""
    return {"name": host.name, "tags": sorted(host.tags), "limits": asdict(host.limits)}


def _address(text: str) -> str:
    try:
        return str(HostAddress.parse(text))
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


def _lines(told: Diagnosis) -> Iterator[str]:
    where = "" if told.host == "local" else f" on {told.host}"
    yield f"{told.backend}{where}: {'can' if told.usable else 'cannot'} run machines"
    if told.summary:
        yield f"  {told.summary}"
    if told.facts is not None:
        yield (
            f"  {told.facts.memory / GIB:.1f} GiB of memory, {told.facts.cpus} processors, "
            f"{told.facts.disk / GIB:.1f} GiB of disk free, {told.facts.os} {told.facts.host}"
        )
    yield from (f"  {name}: {words}" for name, words in told.details.items() if words)
    if told.facts is None:
        yield indent(told.reason, "  ")
        if told.fix:
            yield indent(f"fix: {told.fix}", "  ")
    yield from _answers(told.prerequisites, NEEDS)
    if told.usable:
        yield from _answers(told.capabilities, NAMES)


def _answers(answers: Mapping[str, Capability], words: Mapping[str, str]) -> Iterator[str]:
    """Names with yes or no, and for each no its reason and its fix below."""
    if not answers:
        return
    rows: list[tuple[str, ...]] = []
    for name, answer in answers.items():
        said = words.get(name, "") if answer.available else answer.reason
        rows.append(("  yes" if answer.available else "  NO", name, said))
        rows += [("", "", f"fix: {answer.fix}")] if answer.fix and not answer.available else []
    yield ""
    yield table(rows)
