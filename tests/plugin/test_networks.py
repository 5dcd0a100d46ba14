"""Whose machines share a private network, what their guests are told, and when it ends; on the fake backend."""

from __future__ import annotations

from tests.plugin.conftest import Bed
from tests.plugin.fake_backend import Script


def joined(bed: Bed) -> list[tuple[str, str]]:
    """Machines with the network that each joined, in order, without repetitions."""
    return list(dict.fromkeys((event["machine"], event["purpose"]) for event in bed.events("join")))


def told(bed: Bed) -> dict[str, list[str]]:
    """The address of each machine and the names it knows, as it was last told."""
    return {event["machine"]: event["purpose"].split() for event in bed.events("address")}


def test_all_machines_of_a_test_join_one_network_and_know_one_another(bed: Bed) -> None:
    bed.suite("""
        @hyperv(network="private")
        def test_it(hyperv_vm, hyperv_vm_factory):
            a, b = hyperv_vm_factory(2)
            (c,) = hyperv_vm_factory()
            assert [vm.address for vm in (hyperv_vm, a, b, c)] == [f"10.77.0.{n}" for n in (11, 12, 13, 14)]
    """)
    bed.run().assert_outcomes(passed=1)
    assert [event["purpose"] for event in bed.events("network")] == ["test_it.py::test_it"]
    members = [machine for machine, network in joined(bed) if network == "test_it.py::test_it"]
    assert len(members) == 4
    assert {names[0] for names in told(bed).values()} == {f"10.77.0.{number}" for number in (11, 12, 13, 14)}
    assert [sorted(names[1:]) for names in told(bed).values()] == [sorted(members)] * 4


def test_different_tests_never_share_a_network_and_it_ends_after_its_machines(bed: Bed) -> None:
    bed.suite("""
        @hyperv(network="private")
        def test_one(hyperv_vm): assert hyperv_vm.address == "10.77.0.11"

        def test_other(hyperv_vm_factory):
            a, b = hyperv_vm_factory(2, network="private")
            assert (a.address, b.address) == ("10.77.0.11", "10.77.0.12")

        def test_none(hyperv_vm): assert hyperv_vm.address == ""
    """)
    bed.run("--hyperv-spares=0").assert_outcomes(passed=3)
    assert [network for _, network in joined(bed)] == ["test_it.py::test_one", *["test_it.py::test_other"] * 2]
    order = [(event["event"], event["purpose"]) for event in bed.events("network", "network-end")]
    begun_and_ended = ("network", "network-end")
    assert order == [(what, f"test_it.py::test_{name}") for name in ("one", "other") for what in begun_and_ended]
    assert bed.left() == []


def test_a_shared_machine_is_on_the_network_of_what_shares_it(bed: Bed) -> None:
    bed.suite("""
        @hyperv(network="private", reset="class")
        class TestIt:
            def test_first(self, hyperv_vm): assert hyperv_vm.address == "10.77.0.11"

            def test_second(self, hyperv_vm, hyperv_vm_factory):
                (own,) = hyperv_vm_factory()
                assert hyperv_vm.address == own.address == "10.77.0.11"
    """)
    bed.run().assert_outcomes(passed=2)
    assert [network for _, network in joined(bed)] == ["test_it.py::TestIt", "test_it.py::TestIt::test_second"]
    ends = [event["purpose"] for event in bed.events("network-end")]
    assert ends == ["test_it.py::TestIt::test_second", "test_it.py::TestIt"]


def test_a_machine_that_starts_again_or_goes_back_is_told_again(bed: Bed) -> None:
    bed.suite("""
        @hyperv(network="private")
        def test_it(hyperv_vm, hyperv_vm_factory):
            before = hyperv_vm.checkpoint("before")
            hyperv_vm.shutdown()
            (other,) = hyperv_vm_factory()
            hyperv_vm.start()
            hyperv_vm.restore(before)
            hyperv_vm.restart()
    """)
    bed.run().assert_outcomes(passed=1)
    (first, _), (second, _) = joined(bed)
    heard = [event["purpose"].split()[1:] for event in bed.events("address") if event["machine"] == first]
    assert heard == [[first], [first, second], [first, second], [first, second]]


def test_a_network_that_cannot_be_made_is_an_error_in_setup_and_leaves_no_machine(bed: Bed) -> None:
    bed.script(Script(faults={"network": {"1": "HostError"}}))
    bed.suite("""
        @hyperv(network="private")
        def test_one(hyperv_vm): pass

        @hyperv(network="private")
        def test_two(hyperv_vm): pass
    """)
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*HostError: the script has network fail*"])
    assert bed.left() == []


def test_a_guest_that_cannot_take_its_address_is_an_error_in_setup(bed: Bed) -> None:
    bed.script(Script(faults={"address": {"1": "CommandFailed"}}))
    bed.suite("""
        @hyperv(network="private")
        def test_it(hyperv_vm): pass
    """)
    result = bed.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*MachineError: the guest of * did not take the address 10.77.0.11*"])
    assert bed.left() == []
    assert [event["purpose"] for event in bed.events("network-end")] == ["test_it.py::test_it"]


def test_a_host_without_private_networks_skips_with_its_reason(bed: Bed) -> None:
    bed.script(Script(missing={"network-private": "no cables"}))
    bed.suite("""
        def test_it(hyperv_vm_factory): hyperv_vm_factory(2, network="private")
    """)
    result = bed.run()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*network-private: no cables*"])
    assert bed.events("network", "clone") == []
