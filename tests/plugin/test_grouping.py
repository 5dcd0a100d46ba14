"""The order of tests: left alone, unless ``--hyperv-group`` asks for those of one kind of machine to be together."""

from __future__ import annotations

import importlib.util
import json
import re

import pytest

from tests.plugin.conftest import Bed

needs_xdist = pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
MIXED = """
    from pytest_hyperv import hyperv_state

    @hyperv_state(base="debian-12")
    def one(vm): pass

    large, prepared = hyperv(memory="1GiB"), hyperv(state=one)

    def test_a1(hyperv_vm): pass

    @large
    def test_b1(hyperv_vm): pass

    def test_none1(): pass

    @prepared
    def test_c1(hyperv_vm): pass

    @large
    def test_b2(hyperv_vm): pass

    def test_a2(hyperv_vm): pass

    def test_none2(): pass

    @prepared
    def test_c2(hyperv_vm): pass
"""


def order(bed: Bed, *options: str) -> str:
    """The tests in the order in which they would run, by the ends of their names."""
    result = bed.run("--collect-only", "-q", *options)
    return " ".join(re.findall(r"::test_(\w+)", result.stdout.str()))


def test_the_order_is_left_alone_unless_asked(bed: Bed) -> None:
    bed.suite(MIXED)
    assert order(bed) == "a1 b1 none1 c1 b2 a2 none2 c2"
    assert order(bed, "--hyperv-group") == "a1 a2 b1 b2 none1 none2 c1 c2"


def test_kinds_are_together_over_modules_too_and_keep_their_order(bed: Bed) -> None:
    bed.suite(MIXED, "test_1.py")
    bed.suite("def test_none3(): pass\n\n@hyperv(memory='1GiB')\ndef test_b3(hyperv_vm): pass", "test_2.py")
    assert order(bed, "--hyperv-group") == "a1 a2 b1 b2 b3 none1 none2 none3 c1 c2"


def test_tests_that_share_a_fixture_or_a_machine_of_their_class_or_module_stay_together(bed: Bed) -> None:
    bed.suite(
        """
        large = hyperv(memory="1GiB")

        @pytest.fixture(scope="module")
        def shared(): pass

        @pytest.fixture(scope="class")
        def of_class(): pass

        def test_a1(hyperv_vm): pass

        class TestShared:
            @large
            def test_b1(self, hyperv_vm, of_class): pass
            def test_a2(self, hyperv_vm, of_class): pass
            @large
            def test_b2(self, hyperv_vm): pass

        @hyperv(reset="class")
        class TestOne:
            def test_a3(self, hyperv_vm): pass
            @large
            def test_b3(self, hyperv_vm): pass

        @large
        def test_b4(hyperv_vm): pass

        def test_a4(hyperv_vm): pass
        """
    )
    assert order(bed, "--hyperv-group") == "a1 a3 b3 a4 b1 a2 b2 b4"


def test_fixtures_of_a_class_tie_it_to_its_module_where_one_test_uses_both(bed: Bed) -> None:
    bed.suite(
        """
        large = hyperv(memory="1GiB")

        @pytest.fixture(scope="module")
        def of_module(): pass

        @pytest.fixture(scope="class")
        def of_class(): pass

        def test_a1(hyperv_vm, of_module): pass

        def test_a2(hyperv_vm): pass

        class TestBoth:
            @large
            def test_b1(self, hyperv_vm, of_class): pass
            @large
            def test_b2(self, hyperv_vm, of_class, of_module): pass

        @large
        def test_b3(hyperv_vm): pass
        """
    )
    assert order(bed, "--hyperv-group") == "a1 b1 b2 a2 b3"


@needs_xdist
def test_workers_of_loadgroup_get_kinds_cut_into_as_many_parts_as_they_are(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite(
        """
        import json
        from pathlib import Path

        @pytest.fixture(autouse=True)
        def told(request):
            group = request.node.get_closest_marker("xdist_group")
            facts = [request.node.name, group and group.args[0]]
            with Path(__file__).with_name("told").open("a") as file:
                file.write(json.dumps(facts) + "\\n")

        @pytest.mark.parametrize("n", range(5))
        def test_small(hyperv_vm, n): pass

        @hyperv(memory="1GiB")
        def test_large(hyperv_vm): pass

        @pytest.mark.xdist_group("own")
        def test_own(hyperv_vm): pass

        def test_none(): pass
        """
    )
    bed.run_apart("-n2", "--dist=loadgroup", "--hyperv-group").assert_outcomes(passed=8)
    told = [json.loads(line) for line in (pytester.path / "told").read_text().splitlines()]
    assert dict(told) == {
        "test_small[0]": "kind1.1",
        "test_small[1]": "kind1.1",
        "test_small[2]": "kind1.1",
        "test_small[3]": "kind1.2",
        "test_small[4]": "kind1.2",
        "test_large": "kind2.1",
        "test_own": "own",
        "test_none": None,
    }
