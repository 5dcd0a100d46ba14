"""``pytest-hyperv doctor``: what each backend can do from here, why not, and what would change that."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
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
from pytest_hyperv.options import BACKENDS
from pytest_hyperv.spec import GIB

HOST_VARIABLE = "PYTEST_HYPERV_HOST"
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
@click.option("--json", "as_json", is_flag=True, help="Print facts a program can read.")
@click.pass_context
def command(ctx: click.Context, cache: Path, backend: str | None, host: str | None, as_json: bool) -> None:
    """Tell for every backend whether it can run machines from here, and what its host can and cannot do.

    Exit status 1 when nothing can run.
    """
    chosen = [backend] if backend else ["hyperv"] if host else list(BACKENDS[1:])
    address = _address(host or os.environ.get(HOST_VARIABLE) or "local")
    told = [diagnose(name, cache, address) for name in chosen]
    if as_json:
        click.echo(json.dumps({"usable": any(one.usable for one in told), "backends": [*map(asdict, told)]}, indent=1))
    else:
        click.echo("\n\n".join("\n".join(_lines(one)) for one in told))
    if not any(one.usable for one in told):
        ctx.exit(1)


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
