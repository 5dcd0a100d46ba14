"""The suite itself: each of its tests says what it shows, and each feature is asked for wherever it can be had."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_hyperv.backends.hyperv import offer as hyperv
from pytest_hyperv.backends.hyperv.probe import HypervFacts, Switch
from pytest_hyperv.backends.qemu import offer as qemu
from pytest_hyperv.capabilities import Capability, Requirements
from pytest_hyperv.markers import Mark, wish_of
from pytest_hyperv.options import MARKERS
from pytest_hyperv.settings import resolve
from tests.conformance.features import FEATURES
from tests.conformance_roads.suite import PROJECT, TESTS

PAGE = PROJECT / "docs" / "conformance.md"
CLIENT = HypervFacts(
    host="local",
    caption="Microsoft Windows 11 Pro",
    build=26100,
    edition="client",
    memory=2**35,
    cpus=8,
    processor="GenuineIntel",
    hypervisor=True,
    firmware=True,
    slat=True,
    module="2.0.0.0",
    disk=2**38,
    switches=(Switch(hyperv.DEFAULT_SWITCH, "Default Switch", "Internal"),),
)


def marks_of(test: str) -> Iterator[Any]:
    """The markers of a test of the suite, outermost first."""
    name, *inside = test.split("::")
    found: Any = importlib.import_module(f"tests.conformance.{name}")
    marks = getattr(found, "pytestmark", [])
    yield from marks if isinstance(marks, list) else [marks]
    for part in inside:
        found = getattr(found, part)
        yield from getattr(found, "pytestmark", [])


def features_of(test: str) -> set[int]:
    """The numbers of what it shows."""
    return {number for mark in marks_of(test) if mark.name == "feature" for number in mark.args}


def needs_of(test: str) -> Requirements:
    """What its markers ask of a host."""
    ours = [Mark(mark.name, mark.args, mark.kwargs) for mark in marks_of(test) if mark.name in MARKERS]
    return wish_of(ours, resolve(lambda _: None, {}, lambda _: "")).requirements


@pytest.mark.parametrize("test", TESTS)
def test_each_says_what_it_shows(test: str) -> None:
    assert features_of(test)
    assert features_of(test) <= FEATURES.keys()


@pytest.mark.parametrize("backend", ["qemu", "hyperv"])
@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_is_asked_for_on_each_backend(feature: int, backend: str) -> None:
    found: dict[str, Capability] = qemu.capabilities("emulated") if backend == "qemu" else hyperv.capabilities(CLIENT)
    there = {name for name, capability in found.items() if capability.available}
    assert [test for test in TESTS if feature in features_of(test) and needs_of(test).capabilities <= there]


def test_the_page_has_each_feature_in_its_table() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+?) \|", PAGE.read_text(), re.MULTILINE)
    assert {int(number): text for number, text in rows} == FEATURES
