"""``pytest-hyperv run``: a machine for a person."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from pytest_hyperv.backends.registry import automatic, forget_state
from pytest_hyperv.cache import prepare_cache
from pytest_hyperv.cli.by_hand import MachinesByHand
from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.durations import parse_duration, written
from pytest_hyperv.images import ImageStore
from pytest_hyperv.leases import Limits
from pytest_hyperv.options import BACKENDS, BUDGET, KEEP_FOR, ROOM_TIMEOUT
from pytest_hyperv.sizes import parse_memory
from pytest_hyperv.spec import MachineSpec
from pytest_hyperv.states.record import StateRecord
from pytest_hyperv.states.shelf import Shelf, Stored
from pytest_hyperv.visits import command_to_enter


def _seconds(context: click.Context, parameter: click.Parameter, text: str) -> float:  # noqa: ARG001
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _bytes(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:  # noqa: ARG001
    try:
        return parse_memory(text) if text is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _limits(context: click.Context, parameter: click.Parameter, text: str) -> Limits:  # noqa: ARG001
    try:
        return Limits.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("run")
@cache_option
@click.argument("state")
@click.option(
    "--keep-for",
    metavar="TIME",
    default=KEEP_FOR.default,
    show_default=True,
    callback=_seconds,
    help="How long it stays after somebody last was in it, such as 30m or 2d.",
)
@click.option("--memory", metavar="SIZE", callback=_bytes, help="Of a machine of an image.  [default: 512MiB]")
@click.option("--cpus", type=click.IntRange(min=1), help="Of a machine of an image.  [default: 1]")
@click.option(
    "--budget",
    "limits",
    metavar=BUDGET.metavar,
    envvar=BUDGET.variable,
    default=BUDGET.default,
    callback=_limits,
    help=f"What all machines may take of the host together, also {BUDGET.variable}: memory=SIZE,cpus=N,vms=N.",
)
@click.option(
    "--room-timeout",
    metavar=ROOM_TIMEOUT.metavar,
    envvar=ROOM_TIMEOUT.variable,
    default=ROOM_TIMEOUT.default,
    show_default=True,
    callback=_seconds,
    help=f"How long to wait for room on the host, also {ROOM_TIMEOUT.variable}.",
)
@click.option("--backend", type=click.Choice(BACKENDS[1:]), help="For an image.  [default: what fits this system]")
@click.option("--json", "as_json", is_flag=True, help="Print facts a program can read.")
def command(
    cache: Path,
    state: str,
    keep_for: float,
    memory: int | None,
    cpus: int | None,
    limits: Limits,
    room_timeout: float,
    backend: str | None,
    as_json: bool,
) -> None:
    """Make a machine of STATE and let it run until its time is over or `pytest-hyperv gc --kept` removes it.

    STATE is the name of an image, or that of a state, its FILE::NAME or its key, as `pytest-hyperv states list` shows
    them. Prints how to enter the machine.
    """
    prepare_cache(cache)
    stored = _stored(cache, state)
    if stored is not None:
        if (memory, cpus, backend) != (None, None, None):
            raise click.UsageError(f"{state} is a saved state: its machine is as it was saved.")
        with MachinesByHand(cache, stored.record.backend, stored.record.host, limits, room_timeout) as machines:
            name = machines.of_state(stored.folder, keep_for)
    else:
        image = ImageStore(cache / "images").get(state)
        plain = MachineSpec(image=state)
        spec = replace(plain, memory=memory or plain.memory, cpus=cpus or plain.cpus).on(image)
        with MachinesByHand(cache, backend or automatic(), "local", limits, room_timeout) as machines:
            name = machines.of_image(image, spec, keep_for)
    enter = command_to_enter(name, cache)
    if as_json:
        click.echo(json.dumps({"name": name, "enter": enter, "keep_for": keep_for}))
    else:
        click.echo(f"{name} runs, and is kept for {written(keep_for)} after somebody was in it. To enter it:\n{enter}")


def _stored(cache: Path, name: str) -> Stored | None:
    """The state of that name that a recipe made, the one used last; None when it is the name of an image."""

    def forget(record: StateRecord, folder: Path) -> None:
        forget_state(cache, record.backend, record.host, folder)

    if name in ImageStore(cache / "images").names():
        return None
    return Shelf(cache / "states", forget).named(name)[0]
