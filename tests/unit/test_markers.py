"""Marker arguments into what a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.capabilities import NAMES, Requirements
from pytest_hyperv.errors import MarkerError
from pytest_hyperv.markers import MINIMUMS, SPEC_ARGUMENTS, WISH_ARGUMENTS, Mark, Wish, marks_of, wish_of
from pytest_hyperv.options import MARKERS
from pytest_hyperv.settings import Settings, resolve
from pytest_hyperv.spec import GIB, MIB, MachineSpec

SETTINGS = resolve(lambda _: None, {}, lambda _: "")
VALID: dict[str, st.SearchStrategy[Any]] = {
    "image": st.sampled_from(["debian-12", "other"]),
    "memory": st.integers(64, 4096).map(lambda number: f"{number}MiB") | st.integers(64, 4096).map(lambda n: n * MIB),
    "cpus": st.integers(1, 64),
    "generation": st.just(2),
    "secure_boot": st.sampled_from([True, False, "windows", "uefi-ca"]),
    "tpm": st.booleans(),
    "nested": st.booleans(),
    "network": st.sampled_from(["none", "private", "nat", "switch:lab", "switch:a b"]),
    "checkpoints": st.sampled_from(["standard", "production", "off"]),
    "reset": st.sampled_from(["test", "class", "module", "session"]),
    "timeout": st.integers(1, 1000) | st.floats(0.1, 1000),
    "backend": st.sampled_from(["auto", "hyperv", "qemu"]),
}
arguments = st.fixed_dictionaries({}, optional=VALID)


def hyperv(**arguments: Any) -> Mark:
    """The marker of a machine."""
    return Mark("hyperv", (), arguments)


def requires(*names: Any, **minimums: Any) -> Mark:
    """The marker of a host."""
    return Mark("hyperv_requires", names, minimums)


def wish(*marks: Mark, settings: Settings = SETTINGS) -> Wish:
    """What marks, outermost first, add up to."""
    return wish_of(marks, settings)


@given(outer=arguments, inner=arguments)
def test_two_markers_are_one_with_the_nearer_ones_arguments(outer: dict[str, Any], inner: dict[str, Any]) -> None:
    assert wish(hyperv(**outer), hyperv(**inner)) == wish(hyperv(**{**outer, **inner}))


@given(given=arguments)
def test_every_argument_ends_up_in_the_wish(given: dict[str, Any]) -> None:
    wanted = wish(hyperv(**given))
    assert wanted.image == given.get("image", "")
    assert wanted.spec.image == given.get("image", "debian-12")
    assert wanted.reset == given.get("reset", "test")
    assert wanted.backend == given.get("backend", "")
    assert wanted.timeout == float(given.get("timeout", 60))
    for name in ("cpus", "tpm", "nested", "network", "checkpoints"):
        assert getattr(wanted.spec, name) == given.get(name, getattr(MachineSpec(), name))
    assert wanted.spec.memory % MIB == 0
    assert wanted.requirements.memory == wanted.spec.memory


def test_what_no_marker_says_is_the_settings_own() -> None:
    settings = resolve(lambda _: None, {"PYTEST_HYPERV_CPUS": "3", "PYTEST_HYPERV_MEMORY": "1GiB"}, lambda _: "")
    assert wish(settings=settings).spec == MachineSpec(cpus=3, memory=GIB)
    assert wish(hyperv(cpus=1), settings=settings).spec == MachineSpec(cpus=1, memory=GIB)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ({}, set()),
        ({"secure_boot": True}, {"secure-boot"}),
        ({"secure_boot": "windows"}, {"secure-boot"}),
        ({"secure_boot": False}, set()),
        ({"tpm": True}, {"tpm"}),
        ({"nested": True}, {"nested"}),
        ({"network": "private"}, {"network-private"}),
        ({"network": "nat"}, {"network-nat"}),
        ({"network": "switch:lab"}, {"network-switch"}),
        ({"dynamic_memory": ("256MiB", "1GiB")}, {"dynamic-memory"}),
    ],
)
def test_a_machine_needs_of_its_host_what_it_is_made_of(arguments: dict[str, Any], needed: set[str]) -> None:
    assert wish(hyperv(**arguments)).requirements.capabilities == needed | {"uefi"}


def test_secure_boot_alone_is_microsofts_authority_for_linux() -> None:
    assert wish(hyperv(secure_boot=True)).spec.secure_boot == "on"
    assert wish(hyperv(secure_boot=False)).spec.secure_boot == "off"


def test_nested_virtualization_is_an_argument_too_and_may_be_taken_back() -> None:
    nested = Mark("nested_virtualization", (), {})
    assert wish(nested).spec.nested
    assert wish(hyperv(nested=False), nested).spec.nested
    assert not wish(nested, hyperv(nested=False)).spec.nested


def test_requirements_of_all_markers_add_up() -> None:
    wanted = wish(
        requires("tpm", memory="8GiB", os="linux"), requires("sr-iov", memory="2GiB", cpus=4), hyperv(tpm=True)
    )
    assert wanted.requirements == Requirements(frozenset({"tpm", "sr-iov", "uefi"}), 8 * GIB, 4, 0, "linux", "")


def test_tags_of_all_markers_add_up_and_one_may_stand_alone() -> None:
    assert wish(requires(tags=["gpu", "fast"]), requires(tags="near")).requirements.tags == {"gpu", "fast", "near"}
    with pytest.raises(MarkerError, match="hyperv_requires: tags=5 is no list of words"):
        wish(requires(tags=5))


@given(names=st.sets(st.sampled_from(sorted(NAMES))))
def test_every_known_capability_may_be_required(names: set[str]) -> None:
    assert wish(requires(*names)).requirements.capabilities == names | {"uefi"}


@pytest.mark.parametrize(
    ("name", "known"), [("hyperv", [*SPEC_ARGUMENTS, *WISH_ARGUMENTS]), ("hyperv_requires", [*MINIMUMS])]
)
def test_the_words_of_a_marker_name_every_argument(name: str, known: list[str]) -> None:
    described = MARKERS[name].partition("(")[2].partition(")")[0]
    assert [part.strip() for part in described.split(",") if "=" in part] == [f"{each}=" for each in known]


anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.integers(), max_size=2)
    | st.binary()
)


@given(
    name=st.sampled_from(["hyperv", "hyperv_requires", "nested_virtualization"]),
    args=st.lists(anything, max_size=2),
    kwargs=st.dictionaries(
        st.sampled_from([*SPEC_ARGUMENTS, *WISH_ARGUMENTS, *MINIMUMS, "unknown"]), anything, max_size=3
    ),
)
def test_any_arguments_are_a_wish_or_a_marker_error_that_names_the_marker(
    name: str, args: list[object], kwargs: dict[str, object]
) -> None:
    try:
        wanted = wish(Mark(name, tuple(args), kwargs))
    except MarkerError as error:
        message = error.message
    else:
        message = f"{name}: fine"
        assert wanted.spec.memory >= 64 * MIB
        assert wanted.spec.cpus >= 1
    assert message.startswith(f"{name}: ")


@dataclass
class Case:
    """The marks of one case of a parametrized test, as pytest keeps them."""

    marks: list[pytest.Mark]


@dataclass
class Collected:
    """A collected test, as far as its markers go."""

    marks: list[pytest.Mark]
    callspec: Case

    def iter_markers(self) -> Iterator[pytest.Mark]:
        """The nearest first; pytest has a function's own before those of its case."""
        return iter(self.marks)


def test_the_marks_of_a_test_come_outermost_first_and_those_of_its_parameters_last() -> None:
    own, case, module, foreign = (
        mark.mark
        for mark in (
            pytest.mark.hyperv(cpus=2),
            pytest.mark.hyperv(cpus=3),
            pytest.mark.hyperv(cpus=1),
            pytest.mark.skipif(False, reason="no"),
        )
    )
    found = marks_of(Collected([own, case, foreign, module], Case([case])))
    assert found == [hyperv(cpus=1), hyperv(cpus=2), hyperv(cpus=3)]
