"""Workers of pytest-xdist, as the controller sees them: how many there should be, and what is left of one that died."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import psutil
import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from pytest_hyperv.backends.registry import reclaim
from pytest_hyperv.capabilities import HostFacts
from pytest_hyperv.errors import SettingsError
from pytest_hyperv.leases import Limits, Need
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.settings import Settings, resolve
from pytest_hyperv.stash import SETTINGS

DYING = 2.0
"""Seconds that a process may take to end after its connection did."""


def number_of_workers(
    command_line: Callable[[str], object], environment: Mapping[str, str], ini: Callable[[str], object]
) -> int | None:
    """As many as machines of the default size fit on the hosts; None when that is not known before they are asked.

    Here processors are not given more than once, unless the budget says how many there are: tests that work need them.
    """
    try:
        settings = resolve(command_line, environment, ini)
    except SettingsError:
        return None  # told when the session starts
    found = [_fitting(limits, settings, local=local) for limits, local in _hosts(settings)]
    known = [number for number in found if number is not None]
    return max(1, sum(known)) if len(known) == len(found) else None


def reclaim_machines(config: pytest.Config, worker: str) -> None:
    """Remove the machines of a worker that died just now, while the run goes on, and say so."""
    cache = config.stash[SETTINGS].cache
    if cache is None or not Ledger(cache / "machines").records():
        return
    ending = Retrying(
        retry=retry_if_result(lambda count: not count),
        stop=stop_after_delay(DYING),
        wait=wait_fixed(0.05),
        retry_error_callback=lambda _: 0,
    )
    count = ending(lambda: len(Ledger(cache / "machines", reclaim).reap()))
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if count and reporter is not None:
        reporter.write_line(f"hyperv: removed {count} machine{'s' if count > 1 else ''} that {worker} left")


def _hosts(settings: Settings) -> list[tuple[Limits, bool]]:
    own = settings.budget or Limits()
    if not settings.hosts:
        return [(own, settings.host == "local")]
    return [(host.limits.overridden(own), host.address == "local") for host in settings.hosts]


def _fitting(limits: Limits, settings: Settings, *, local: bool) -> int | None:
    need = Need(settings.memory, settings.cpus)
    if local:
        cpus = os.cpu_count() or 1
        facts = HostFacts(psutil.virtual_memory().total, cpus, 0, "", "")
        budget = limits.on(facts)
        return min(budget.times(need), (limits.cpus or cpus) // need.cpus)
    if limits.memory is None or limits.cpus is None:
        return limits.vms
    return min(limits.memory // need.memory, limits.cpus // need.cpus, limits.vms or limits.cpus)
