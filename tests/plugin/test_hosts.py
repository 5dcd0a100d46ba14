"""Several hosts: which one a machine is made on, and what becomes of tests and machines when a host fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from tests.plugin.conftest import Bed
from tests.plugin.fake_backend import Script

INVENTORY = """
[hosts.one]
address = "ssh://one"
tags = ["fast", "gpu"]
limits = { memory = "8GiB" }

[hosts.two]
address = "ssh://two"
tags = ["fast"]
"""
MANY = """
    @pytest.mark.parametrize("n", range(6))
    @hyperv()
    def test_it(hyperv_vm, n):
        assert hyperv_vm.run(["true"])
"""
LOST = "HostUnreachable"


@pytest.fixture
def fleet(bed: Bed, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Bed:
    """A bed with two hosts."""
    write_inventory(pytester, INVENTORY)
    monkeypatch.setenv("PYTEST_HYPERV_INVENTORY", str(pytester.path / "hosts.toml"))
    bed.script(Script("hyperv"))
    return bed


def write_inventory(pytester: pytest.Pytester, text: str) -> None:
    """Have these hosts instead."""
    (pytester.path / "hosts.toml").write_text(text)


def faults(host: str, **operations: Mapping[str, str]) -> Script:
    """A script of two hosts, one of which fails."""
    return Script("hyperv", hosts={f"ssh://{host}": {"faults": operations}})


def lent(bed: Bed) -> Counter[str]:
    """How many machines were made for tests on which host."""
    made = (event for event in bed.events("clone") if not event["failed"] and event["purpose"] != "spare")
    return Counter(event["host"].removeprefix("ssh://") for event in made)


def warned(result: pytest.RunResult) -> list[str]:
    """What the run says of hosts it gave up."""
    return [line.strip() for line in result.outlines if "PytestWarning: " in line and "no more machines" in line]


def test_a_machine_goes_where_its_state_is(fleet: Bed) -> None:
    fleet.suite(MANY)
    fleet.run("--hyperv-spares=0").assert_outcomes(passed=6)
    assert [event["host"] for event in fleet.events("build")] == ["ssh://one"]
    assert lent(fleet) == {"one": 6}


def test_a_name_chooses_one_host(fleet: Bed) -> None:
    fleet.suite(MANY)
    fleet.run("--hyperv-host=two", "--hyperv-spares=0").assert_outcomes(passed=6)
    assert lent(fleet) == {"two": 6}


def test_a_machine_goes_where_its_requirements_hold(fleet: Bed) -> None:
    fleet.script(Script("hyperv", hosts={"ssh://two": {"missing": {"tpm": "it has none"}}}))
    fleet.suite(
        """
        @hyperv(memory="16GiB")
        def test_big(hyperv_vm): pass

        @pytest.mark.hyperv_requires(tags=["gpu"])
        def test_gpu(hyperv_vm): pass

        @hyperv(tpm=True)
        def test_tpm(hyperv_vm): pass
        """
    )
    fleet.run("--hyperv-spares=0").assert_outcomes(passed=3)
    assert [event["host"] for event in fleet.events("clone")] == ["ssh://two", "ssh://one", "ssh://one"]


def test_a_test_that_no_host_can_run_is_skipped_with_the_reasons_of_each(fleet: Bed) -> None:
    fleet.suite(
        """
        @hyperv(memory="16GiB")
        @pytest.mark.hyperv_requires(tags=["gpu"])
        def test_both(hyperv_vm): pass
        """
    )
    result = fleet.run()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED * no host can: one: memory: 16.0 GiB needed, the host has 8.0 GiB; two: tag gpu: the host has fast"]
    )
    assert fleet.events("clone") == []


def test_a_full_host_is_passed_by_and_one_too_small_is_not_waited_for(fleet: Bed, pytester: pytest.Pytester) -> None:
    write_inventory(
        pytester,
        """
        [hosts.one]
        address = "ssh://one"
        limits = { vms = 1 }

        [hosts.two]
        address = "ssh://two"
        limits = { vms = 2 }
        """,
    )
    fleet.suite(
        """
        def test_it(hyperv_vm, hyperv_vm_factory):
            hyperv_vm_factory(2)
        """
    )
    fleet.run("--hyperv-spares=0").assert_outcomes(passed=1)
    assert lent(fleet) == {"one": 1, "two": 2}


def test_a_backend_that_the_inventory_has_not_is_a_skip(fleet: Bed) -> None:
    fleet.suite("@hyperv(backend='qemu')\ndef test_it(hyperv_vm): pass")
    result = fleet.run()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *backend qemu: no host that may be used is one of qemu"])


@pytest.mark.parametrize("operation", ["offer", "build", "clone"])
def test_a_host_that_is_lost_before_a_test_runs_costs_no_test(fleet: Bed, operation: str) -> None:
    fleet.script(faults("one", **{operation: {"every": LOST}}))
    fleet.suite(MANY)
    result = fleet.run("--hyperv-spares=0")
    result.assert_outcomes(passed=6, warnings=1)
    assert len(warned(result)) == 1
    assert "one gets no more machines in this run: the script has" in warned(result)[0]
    assert lent(fleet) == {"two": 6}
    assert len(fleet.events(operation)) == (1 if operation == "offer" else 7 if operation == "clone" else 2)


def test_a_host_that_is_lost_in_the_midst_of_a_run_costs_no_test_either(fleet: Bed) -> None:
    fleet.script(faults("one", clone={"3": LOST}))
    fleet.suite(MANY)
    result = fleet.run("--hyperv-spares=0")
    result.assert_outcomes(passed=6, warnings=1)
    assert lent(fleet) == {"one": 2, "two": 4}


def test_a_command_that_fails_on_one_host_drains_it_once_another_shows_that_it_can_be_done(fleet: Bed) -> None:
    fleet.script(faults("one", clone={"1": "CmdletError"}))
    fleet.suite(MANY)
    result = fleet.run("--hyperv-spares=0")
    result.assert_outcomes(passed=6, warnings=1)
    assert lent(fleet) == {"two": 6}


def test_a_test_whose_machine_fails_everywhere_is_moved_once_and_drains_nothing(fleet: Bed) -> None:
    wrong = {"faults": {"clone": {"1": "CmdletError"}}}
    fleet.script(Script("hyperv", hosts={"ssh://one": wrong, "ssh://two": wrong}))
    fleet.suite(MANY)
    result = fleet.run("--hyperv-spares=0")
    result.assert_outcomes(passed=5, errors=1, warnings=0)
    assert [event["host"] for event in fleet.events("clone") if event["failed"]] == ["ssh://one", "ssh://two"]


def test_a_host_that_is_lost_while_a_test_runs_is_an_error_of_that_test_and_later_ones_go_elsewhere(fleet: Bed) -> None:
    fleet.script(faults("one", run={"2": LOST}))
    fleet.suite(MANY)
    result = fleet.run("--hyperv-spares=0")
    result.assert_outcomes(passed=5, errors=1, warnings=1)
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_it?1? - *HostUnreachable: the scri*"])
    assert lent(fleet) == {"one": 2, "two": 4}


def test_when_no_host_is_left_every_test_says_which_were_lost(fleet: Bed) -> None:
    broken = {"faults": {"offer": {"every": LOST}}}
    fleet.script(Script("hyperv", hosts={"ssh://one": broken, "ssh://two": broken}))
    fleet.suite(MANY)
    result = fleet.run()
    result.assert_outcomes(errors=6, warnings=2)
    result.stdout.fnmatch_lines(["*PoolError: no host is left that could run this*one: the script*; two: the script*"])
    assert len(fleet.events("offer")) == 2


def test_a_test_that_only_a_lost_host_could_run_is_an_error_and_one_it_could_not_is_skipped(fleet: Bed) -> None:
    fleet.script(faults("one", offer={"every": LOST}))
    fleet.suite(
        """
        @pytest.mark.hyperv_requires(tags=["gpu"])
        def test_gpu(hyperv_vm): pass

        @pytest.mark.hyperv_requires(tags=["red"])
        def test_red(hyperv_vm): pass
        """
    )
    result = fleet.run()
    result.assert_outcomes(errors=1, skipped=1, warnings=1)


def test_machines_that_a_lost_host_keeps_do_not_fail_the_run(fleet: Bed) -> None:
    fleet.script(faults("one", clone={"2": LOST}, discard={"every": LOST}))
    fleet.suite(MANY)
    result = fleet.run("--hyperv-spares=0")
    result.assert_outcomes(passed=6, warnings=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*what is left on one goes once it answers, by the next run or gc*"])


def test_a_host_that_is_alone_is_asked_by_every_test(bed: Bed) -> None:
    bed.script(Script(faults={"clone": {"1": LOST}}))
    bed.suite(MANY)
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=5, errors=1, warnings=0)


def test_workers_tell_of_a_lost_host_as_one_process_does(fleet: Bed) -> None:
    pytest.importorskip("xdist")
    fleet.script(faults("one", run={"1": LOST}))
    fleet.suite(MANY)
    result = fleet.run_apart("-n1", "--hyperv-spares=0")
    result.assert_outcomes(passed=5, errors=1, warnings=1)


@pytest.mark.parametrize(("network", "places"), [("none", {"one": 1, "two": 1}), ("private", {"one": 2})])
def test_machines_of_one_private_network_are_on_one_host(fleet: Bed, network: str, places: dict[str, int]) -> None:
    fleet.suite(f"""
        @hyperv(network="{network}")
        def test_it(hyperv_vm, hyperv_vm_factory):
            hyperv_vm_factory(memory="1GiB")
    """)
    fleet.run("--hyperv-spares=0").assert_outcomes(passed=1)
    assert lent(fleet) == places
