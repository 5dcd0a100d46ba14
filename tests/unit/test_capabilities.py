"""What a host offers, what a test needs, and the difference in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_hyperv.capabilities import NAMES, Capability, HostFacts, Offer, Requirements
from pytest_hyperv.spec import GIB, MIB

FACTS = HostFacts(memory=8 * GIB, cpus=4, disk=100 * MIB, os="linux", host="server")
requirements = st.builds(
    Requirements,
    capabilities=st.frozensets(st.sampled_from(sorted(NAMES))),
    memory=st.integers(0, 16 * GIB),
    cpus=st.integers(0, 8),
    disk=st.integers(0, 200 * MIB),
    os=st.sampled_from(["", "linux", "windows"]),
    host=st.sampled_from(["", "server", "client"]),
)
offers = st.builds(
    Offer,
    backend=st.just("qemu"),
    facts=st.just(FACTS),
    capabilities=st.dictionaries(st.sampled_from(sorted(NAMES)), st.builds(Capability, available=st.booleans())),
)


def test_what_is_missing_says_why_and_what_would_change_that() -> None:
    offer = Offer(
        "qemu",
        FACTS,
        {
            "tpm": Capability(False, "swtpm is not installed", "apt install swtpm"),
            "nested": Capability(False, "the processor has no VMX"),
            "uefi": Capability(True),
        },
    )
    needs = Requirements(frozenset({"tpm", "nested", "uefi", "sr-iov"}), 16 * GIB, 8, 200 * MIB, "windows", "client")
    assert list(offer.missing(needs).items()) == [
        ("nested", "the processor has no VMX"),
        ("sr-iov", "the qemu backend has none"),
        ("tpm", "swtpm is not installed (apt install swtpm)"),
        ("memory", "16.0 GiB needed, the host has 8.0 GiB"),
        ("cpus", "8 needed, the host has 4"),
        ("disk", "200 MiB needed, 100 MiB are free"),
        ("os", "a windows host is needed, this one is linux"),
        ("host", "a client host is needed, this one is server"),
    ]


def test_a_tag_that_the_host_has_not_is_told_with_those_it_has() -> None:
    needs = Requirements(tags=frozenset({"gpu", "fast"}))
    assert Offer("qemu", FACTS).missing(needs) == {
        "tag fast": "the host has no tags",
        "tag gpu": "the host has no tags",
    }
    assert Offer("qemu", FACTS, tags=frozenset({"fast", "big"})).missing(needs) == {"tag gpu": "the host has big, fast"}
    assert Offer("qemu", FACTS, tags=frozenset({"fast", "gpu"})).missing(needs) == {}


def test_exactly_as_much_as_is_there_is_enough() -> None:
    assert Offer("qemu", FACTS).missing(Requirements(frozenset(), 8 * GIB, 4, 100 * MIB, "linux", "server")) == {}


@given(offer=offers, a=requirements, b=requirements)
def test_merged_needs_lack_whatever_either_lacks(offer: Offer, a: Requirements, b: Requirements) -> None:
    merged = set(offer.missing(a.merged(b)))
    either = set(offer.missing(a)) | set(offer.missing(b))
    words = {"os", "host"}
    assert merged - words == either - words


@given(a=requirements)
def test_merging_with_itself_or_nothing_changes_nothing(a: Requirements) -> None:
    assert a.merged(a) == a == a.merged(Requirements()) == Requirements().merged(a)


@pytest.mark.parametrize("what", ["os", "host"])
def test_the_later_word_wins(what: str) -> None:
    merged = Requirements(**{what: "first"}).merged(Requirements(**{what: "second"}))  # type: ignore[arg-type]
    assert getattr(merged, what) == "second"
