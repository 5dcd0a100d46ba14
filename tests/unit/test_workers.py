"""How many workers there should be, from settings alone."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from pytest_hyperv.spec import GIB
from pytest_hyperv.workers import number_of_workers


def number(**options: str) -> int | None:
    lines = {f"hyperv_{name}": value for name, value in options.items()}
    return number_of_workers(lines.get, {}, lambda _: "")


@pytest.mark.parametrize(
    ("budget", "memory", "cpus", "count"),
    [
        ("memory=64GiB,cpus=64,vms=3", "512MiB", "1", 3),
        ("memory=4GiB,cpus=64", "1GiB", "1", 4),
        ("memory=64GiB,cpus=7", "512MiB", "2", 3),
        ("memory=1GiB,cpus=64", "2GiB", "1", 1),
    ],
)
def test_as_many_as_machines_of_the_default_size_fit(budget: str, memory: str, cpus: str, count: int) -> None:
    assert number(budget=budget, memory=memory, cpus=cpus) == count


def test_processors_of_the_host_are_given_once() -> None:
    cpus = os.cpu_count() or 1
    assert number(budget="memory=4096GiB") == cpus
    assert number(budget="memory=4096GiB", cpus=str(cpus)) == 1
    assert number() == max(1, min(cpus, int(psutil.virtual_memory().total * 7 / 8 // (GIB // 2))))


@pytest.mark.parametrize(
    ("budget", "count"), [("", None), ("memory=8GiB", None), ("vms=6", 6), ("memory=2GiB,cpus=64", 4)]
)
def test_a_host_elsewhere_is_not_asked(budget: str, count: int | None) -> None:
    assert number(host="winrm://admin@hv01", budget=budget) == count


def test_hosts_of_an_inventory_add_up(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.toml"
    inventory.write_text(
        '[hosts.one]\naddress = "winrm://a@hv01"\nlimits = { vms = 2 }\n'
        '[hosts.two]\naddress = "winrm://a@hv02"\nlimits = { memory = "2GiB", cpus = 16 }\n'
    )
    assert number(inventory=str(inventory)) == 6
    assert number(inventory=str(inventory), budget="vms=1") == 2
    inventory.write_text(inventory.read_text() + '[hosts.three]\naddress = "winrm://a@hv03"\n')
    assert number(inventory=str(inventory)) is None


@pytest.mark.parametrize("options", [{"budget": "lots"}, {"cpus": "0"}])
def test_wrong_settings_are_told_when_the_session_starts_not_here(options: dict[str, str]) -> None:
    assert number(**options) is None
