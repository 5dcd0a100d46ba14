"""``pytest-hyperv states``: what is saved, what stands on what, what to build before the tests, and what may go."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import click

from pytest_hyperv.backends.registry import forget_state
from pytest_hyperv.cli.cache_option import cache_option
from pytest_hyperv.cli.screen import table
from pytest_hyperv.options import STATES_LIMIT, parse_limit
from pytest_hyperv.spec import GIB, MIB
from pytest_hyperv.states.record import StateRecord
from pytest_hyperv.states.shelf import MARGIN, Shelf, Stored, tree

QUIET = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
"""This command has imported the plugin before pytest does."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print facts a program can read.")


@click.group()
@cache_option
@click.pass_context
def command(ctx: click.Context, cache: Path) -> None:
    """Saved states: machines that are prepared and running, for tests to start from."""

    def forget(record: StateRecord, folder: Path) -> None:
        forget_state(cache, record.backend, record.host, folder)

    ctx.obj = Shelf(cache / "states", forget)


@command.command("list")
@as_json
@click.pass_obj
def list_states(shelf: Shelf, as_json: bool) -> None:
    """List the states, the one used last first, with the disk they take."""
    _show(shelf.all(), as_json)


@command.command("tree")
@as_json
@click.pass_obj
def show_tree(shelf: Shelf, as_json: bool) -> None:
    """Show what stands on what."""
    rooted = list(tree(shelf.all()))
    if as_json:
        click.echo(json.dumps([{"depth": depth, **_facts(stored)} for depth, stored in rooted], indent=1))
    elif rooted:
        click.echo(table([HEAD, *(_row(stored, "  " * depth) for depth, stored in rooted)]))
    else:
        click.echo(NOTHING)


@command.command(context_settings={"ignore_unknown_options": True})
@as_json
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST'S ARGUMENTS]...")
@click.pass_context
def build(ctx: click.Context, as_json: bool, arguments: tuple[str, ...]) -> None:
    """Build the states that tests start from, without running the tests.

    The tests are named as for pytest: files, -k, -m and so on; all of them when none is.
    """
    import pytest

    from pytest_hyperv.cli.state_builder import StateBuilder

    builder = StateBuilder()
    own = ["-p", "no:cacheprovider", "-W", QUIET, *(["-n0"] if find_spec("xdist") else [])]
    assert ctx.parent is not None
    if ctx.parent.get_parameter_source("cache") is not click.core.ParameterSource.DEFAULT:
        own.append(f"--hyperv-cache={ctx.parent.params['cache']}")
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        status = pytest.main([*arguments, *own], plugins=[builder])
    if as_json:
        click.echo(json.dumps([asdict(outcome) for outcome in builder.outcomes], indent=1))
    else:
        for outcome in builder.outcomes:
            click.echo(f"{outcome.name} ({outcome.machine}): {outcome.outcome} {outcome.reason}".rstrip())
    ctx.exit(2 if status == pytest.ExitCode.USAGE_ERROR else 0 if status == pytest.ExitCode.OK else 1)


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--children", is_flag=True, help="Remove those that stand on them too.")
@as_json
@click.pass_obj
def remove(shelf: Shelf, names: tuple[str, ...], children: bool, as_json: bool) -> None:
    """Remove states: by the name of their recipe or image, by FILE::NAME, or by their key."""
    chosen = {stored.key: stored for name in names for stored in shelf.named(name)}
    _removed(shelf.remove(list(chosen.values()), children=children), as_json)


def _limit(context: click.Context, parameter: click.Parameter, text: str) -> int | None:  # noqa: ARG001
    try:
        return parse_limit(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@command.command()
@click.option(
    "--limit",
    metavar="SIZE",
    envvar=STATES_LIMIT.variable,
    default=STATES_LIMIT.default,
    callback=_limit,
    show_default=True,
    help=f"Disk that the rest may take, such as 20GiB; also {STATES_LIMIT.variable}.",
)
@as_json
@click.pass_obj
def prune(shelf: Shelf, limit: int | None, as_json: bool) -> None:
    """Remove the states that were not used for longest, until the rest takes at most --limit.

    What a living run uses stays, and whatever something stands on.
    """
    _removed(shelf.prune(limit) if limit is not None else [], as_json)


HEAD = ("NAME", "KEY", "MACHINE", "BACKEND", "DISK", "MADE", "USED", "FOR")
NOTHING = "No state is saved."


def _show(stored: Sequence[Stored], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_facts(each) for each in stored], indent=1))
    elif stored:
        click.echo(table([HEAD, *map(_row, stored)]))
        click.echo(f"{len(stored)} states, {_size(sum(each.size for each in stored))}")
    else:
        click.echo(NOTHING)


def _removed(removed: Sequence[Stored], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_facts(each) for each in removed], indent=1))
        return
    for each in removed:
        click.echo(f"removed {each.record.name} ({each.key[:MARGIN]}), {_size(each.size)}")
    if not removed:
        click.echo("Nothing had to be removed.")


def _facts(stored: Stored) -> dict[str, object]:
    """Sizes in bytes, ages in seconds."""
    now = time.time()
    told = {
        "folder": os.fspath(stored.folder),
        "size": stored.size,
        "age": round(now - stored.record.created, 1) if stored.record.created else None,
        "unused": round(now - stored.used, 1),
        "users": list(stored.users),
        "kept": list(stored.kept),
        "whole": stored.whole,
    }
    return {**asdict(stored.record), **told}


def _row(stored: Stored, indent: str = "") -> tuple[str, ...]:
    record, now = stored.record, time.time()
    return (
        f"{indent}{record.name}",
        stored.key[:MARGIN],
        record.machine,
        record.backend,
        _size(stored.size),
        _ago(now - record.created) if record.created else "?",
        "now" if stored.users or stored.kept else _ago(now - stored.used),
        (record.recipe or "the booted image") if stored.whole else "will be built anew: what it stands on is gone",
    )


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
