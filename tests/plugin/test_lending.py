"""How long a machine is shared, and that the next test never gets a dirty one."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Bed

DIRTY = """
    class TestOne:
        def test_a(self, hyperv_vm):
            assert hyperv_vm.wait_for_file is not None
            seen = sorted(hyperv_vm.sh("ls").stdout.split())
            hyperv_vm.write_text("a", "")
            print("saw", seen)

        def test_b(self, hyperv_vm):
            print("saw", sorted(hyperv_vm.sh("ls").stdout.split()))
            hyperv_vm.write_text("b", "")

    def test_c(hyperv_vm):
        print("saw", sorted(hyperv_vm.sh("ls").stdout.split()))
        hyperv_vm.write_text("c", "")
"""


def seen(result: pytest.RunResult) -> list[str]:
    """What each test found in its machine."""
    return [line.removeprefix("saw ") for line in result.outlines if line.startswith("saw ")]


@pytest.mark.parametrize(
    ("reset", "first", "second", "machines"),
    [
        ("test", ["[]", "[]", "[]"], ["[]", "[]", "[]"], 6),
        ("class", ["[]", "['a']", "[]"], ["[]", "['a']", "[]"], 4),
        ("module", ["[]", "['a']", "['a', 'b']"], ["[]", "['a']", "['a', 'b']"], 2),
        ("session", ["[]", "['a']", "['a', 'b']"], ["['a', 'b', 'c']"] * 3, 1),
    ],
)
def test_a_machine_is_clean_for_every_scope_of_its_reset(
    bed: Bed, reset: str, first: list[str], second: list[str], machines: int
) -> None:
    for name in ("test_first.py", "test_second.py"):
        bed.suite(f"pytestmark = hyperv(reset={reset!r})\n" + DIRTY.replace("\n    ", "\n"), name)
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=6)
    assert seen(result) == first + second
    assert len(bed.lent()) == machines
    assert bed.left() == []


def test_a_shared_machine_ends_with_its_scope_and_not_later(bed: Bed) -> None:
    bed.suite(
        """
        @hyperv(reset="class")
        class TestOne:
            def test_a(self, hyperv_vm): pass

        class TestTwo:
            @pytest.mark.hyperv_requires("uefi")
            def test_b(self, pytestconfig):
                from pytest_hyperv.lab import lab_of
                lab_of(pytestconfig).pool("qemu").settle()
                left = list(lab_of(pytestconfig).cache.glob("machines/*/guest"))
                assert left == []
        """
    )
    bed.run().assert_outcomes(passed=2)


def test_tests_with_other_machines_do_not_share_one(bed: Bed) -> None:
    bed.suite(
        """
        pytestmark = hyperv(reset="module")

        def test_a(hyperv_vm): print("machine", hyperv_vm.name, hyperv_vm.spec.cpus)

        @hyperv(cpus=2)
        def test_b(hyperv_vm): print("machine", hyperv_vm.name, hyperv_vm.spec.cpus)

        def test_c(hyperv_vm): print("machine", hyperv_vm.name, hyperv_vm.spec.cpus)
        """
    )
    result = bed.run()
    result.assert_outcomes(passed=3)
    (a, b, c) = (line.split()[1:] for line in result.outlines if line.startswith("machine "))
    assert a == c
    assert a != b
    assert (a[1], b[1]) == ("1", "2")
    assert len(bed.lent()) == 2


def test_a_shared_machine_whose_guest_died_is_replaced_for_the_next_test(bed: Bed) -> None:
    bed.suite(
        """
        pytestmark = hyperv(reset="module")

        def test_a(hyperv_vm):
            hyperv_vm.write_text("a", "")
            hyperv_vm.run(["die"])

        def test_b(hyperv_vm):
            assert not hyperv_vm.crashed
            assert hyperv_vm.sh("ls").stdout == ""

        def test_c(hyperv_vm): pass
        """
    )
    result = bed.run()
    result.assert_outcomes(failed=1, passed=2)
    result.stdout.fnmatch_lines(["*GuestCrashed: the guest died: asked to*"])
    assert len(bed.lent()) == 2
    assert bed.left() == []


def test_a_factory_makes_machines_by_the_number_and_ends_them_with_the_test(bed: Bed) -> None:
    bed.suite(
        """
        @hyperv(cpus=2)
        def test_two(hyperv_vm_factory):
            a, b = hyperv_vm_factory(2, memory="1GiB")
            (c,) = hyperv_vm_factory()
            assert len({a.name, b.name, c.name}) == 3
            assert [vm.spec.memory // 2**20 for vm in (a, b, c)] == [1024, 1024, 512]
            assert [vm.spec.cpus for vm in (a, b, c)] == [2, 2, 2]

        def test_wrong(hyperv_vm_factory):
            hyperv_vm_factory(2, memroy="1GiB")

        def test_none(hyperv_vm_factory):
            hyperv_vm_factory(backend="hyperv")
        """
    )
    result = bed.run()
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*MarkerError: hyperv: unknown argument 'memroy' (did you mean 'memory'?)*"])
    assert bed.left() == []
    assert len(bed.lent()) == 3


def test_a_factory_whose_second_machine_fails_ends_the_first(bed: Bed) -> None:
    from tests.plugin.fake_backend import Script

    bed.script(Script(faults={"clone": {"2": "HostError"}}))
    bed.suite("def test_two(hyperv_vm_factory): hyperv_vm_factory(2)")
    result = bed.run()
    result.assert_outcomes(errors=1)
    assert [event["failed"] for event in bed.events("discard")] == [None]
    assert bed.left() == []


def test_other_plugins_hear_of_every_machine_and_may_refuse_it(bed: Bed) -> None:
    bed.suite(
        """
        def pytest_hyperv_machine_ready(machine, nodeid):
            print("ready", nodeid, machine.sh("echo up").stdout)
            if "wrong" in nodeid:
                raise RuntimeError("the licence server does not know this machine")
        """,
        "conftest.py",
    )
    bed.suite("def test_right(hyperv_vm): pass\n\ndef test_wrong(hyperv_vm): pass")
    result = bed.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["ready test_it.py::test_right up"])
    result.stdout.fnmatch_lines(["*RuntimeError: the licence server does not know this machine"])
    assert bed.left() == []


def test_a_test_knows_which_machines_are_in_its_hands(bed: Bed) -> None:
    bed.suite(
        """
        from pytest_hyperv.stash import LOANS

        @pytest.mark.parametrize("n", range(2))
        @hyperv(reset="module")
        def test_it(hyperv_vm, hyperv_vm_factory, request, n):
            others = hyperv_vm_factory(2)
            assert [loan.vm for loan in request.node.stash[LOANS]] == [hyperv_vm, *others]
            assert {loan.state for loan in request.node.stash[LOANS]} == {""}
        """
    )
    bed.run("--hyperv-spares=0").assert_outcomes(passed=2)
