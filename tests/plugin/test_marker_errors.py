"""Wrong marker arguments end the collection of their tests, by name, with what is allowed and what was meant."""

from __future__ import annotations

import importlib.util

import pytest

from tests.plugin.conftest import Bed

WRONG = {
    "hyperv(memmory='1GiB')": [
        "hyperv: unknown argument 'memmory' (did you mean 'memory'?)",
        "Hint: allowed: image, memory, dynamic_memory, cpus, generation, secure_boot, tpm, nested, network, "
        "checkpoints, state, reset, timeout, backend, evidence.",
    ],
    "hyperv(colour='red')": ["hyperv: unknown argument 'colour'", "Hint: allowed: image, memory,"],
    "hyperv('debian-12')": ["hyperv: arguments go by name, 'debian-12' has none", "Hint: allowed: image,"],
    "hyperv(memory='4 giggles')": ["hyperv: memory='4 giggles' is no size", '"512MiB"'],
    "hyperv(memory='1MiB')": ["hyperv: memory='1MiB' is no memory size", "from 64MiB to 4TiB"],
    "hyperv(memory=100_000_000)": ["hyperv: memory=100000000 is no memory size", "whole MiB"],
    "hyperv(memory=True)": ["hyperv: memory=True is no size"],
    "hyperv(memory=None)": ["hyperv: memory=None is no size"],
    "hyperv(reset='never')": ["hyperv: reset='never' is none of 'test', 'class', 'module', 'session'"],
    "hyperv(reset=['test'])": ["hyperv: reset=['test'] is none of"],
    "hyperv(network='wifi')": ['hyperv: network=\'wifi\' is none of "none", "private", "nat", "switch:NAME"'],
    "hyperv(network='switch:')": ["hyperv: network='switch:' is none of"],
    "hyperv(memory='9' * 400 + 'GiB')": ["GiB' is no memory size"],
    "hyperv(cpus=0)": ["hyperv: cpus=0 is no whole number of at least 1"],
    "hyperv(cpus='2')": ["hyperv: cpus='2' is no whole number of at least 1"],
    "hyperv(generation=1)": ["hyperv: generation=1 is not supported: machines are of generation 2"],
    "hyperv(secure_boot='on')": ['hyperv: secure_boot=\'on\' is none of True, False, "windows", "uefi-ca"'],
    "hyperv(tpm='yes')": ["hyperv: tpm='yes' is neither True nor False"],
    "hyperv(nested=1)": ["hyperv: nested=1 is neither True nor False"],
    "hyperv(checkpoints='snapshot')": ["hyperv: checkpoints='snapshot' is none of 'standard', 'production', 'off'"],
    "hyperv(timeout=-1)": ["hyperv: timeout=-1 is no number of seconds"],
    "hyperv(timeout=float('nan'))": ["hyperv: timeout=nan is no number of seconds"],
    "hyperv(timeout=float('inf'))": ["hyperv: timeout=inf is no number of seconds"],
    "hyperv(backend='vmware')": ["hyperv: backend='vmware' is none of 'auto', 'hyperv', 'qemu'"],
    "hyperv(evidence='/var/log')": ["hyperv: evidence='/var/log' is no list of paths in the guest"],
    "hyperv(evidence=['/var/log', 3])": ["hyperv: evidence=3 is no path in the guest"],
    "hyperv(image='')": ["hyperv: image='' is no name"],
    "hyperv(dynamic_memory='1GiB')": ["hyperv: dynamic_memory='1GiB' is no pair (minimum, maximum)"],
    "hyperv(dynamic_memory=('2GiB', '1GiB'))": ["the minimum is above the maximum"],
    "hyperv(memory='4GiB', dynamic_memory=('1GiB', '2GiB'))": ["memory= must lie within dynamic_memory="],
    "hyperv(nested=True, dynamic_memory=('1GiB', '2GiB'))": ["nested=True needs static memory"],
    "pytest.mark.nested_virtualization('deep')": ["nested_virtualization: arguments go by name"],
    "pytest.mark.nested_virtualization(depth=2)": [
        "nested_virtualization: unknown argument 'depth'",
        "Hint: this marker takes no arguments.",
    ],
    "pytest.mark.hyperv_requires('tmp')": [
        "hyperv_requires: 'tmp' is no capability (did you mean 'tpm'?)",
        "Hint: allowed: uefi, secure-boot, tpm,",
    ],
    "pytest.mark.hyperv_requires(['tpm'])": ["hyperv_requires: ['tpm'] is no capability"],
    "pytest.mark.hyperv_requires(disc='1GiB')": ["unknown argument 'disc' (did you mean 'disk'?)"],
    "pytest.mark.hyperv_requires(os='macos')": ["hyperv_requires: os='macos' is none of 'windows', 'linux'"],
    "pytest.mark.hyperv_requires(memory='much')": ["hyperv_requires: memory='much' is no size"],
}


def says(result: pytest.RunResult, *texts: str) -> None:
    """Check that the output has these texts."""
    output = result.stdout.str()
    for text in texts:
        assert text in output


@pytest.mark.parametrize("mark", WRONG)
def test_a_wrong_argument_is_a_collection_error_that_names_the_test(bed: Bed, mark: str) -> None:
    bed.suite(f"@{mark}\ndef test_it(hyperv_vm): pass")
    result = bed.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    says(result, "test_it.py::test_it: ", *WRONG[mark])
    assert "Traceback" not in result.stdout.str()
    assert "warning" not in result.stdout.str()
    assert bed.events() == []


def test_each_wrong_test_of_a_module_is_named_and_the_other_modules_run_when_asked_to(bed: Bed) -> None:
    bed.suite(
        """
        @hyperv(cpus=0)
        def test_a(hyperv_vm): pass

        @hyperv(reset="never")
        def test_b(): pass

        def test_fine(): pass
        """
    )
    bed.suite("def test_fine(hyperv_vm): pass", "test_other.py")
    result = bed.run()
    result.assert_outcomes(errors=1)
    says(result, "test_it.py::test_a: hyperv: cpus=0", "test_it.py::test_b: hyperv: reset='never'")
    result = bed.run("--continue-on-collection-errors")
    result.assert_outcomes(errors=1, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert bed.lent() == ["test_other.py::test_fine"]


@pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
def test_workers_of_xdist_tell_the_same(bed: Bed) -> None:
    bed.suite("@hyperv(cpus=0)\ndef test_a(hyperv_vm): pass")
    bed.suite("def test_fine(): pass", "test_other.py")
    result = bed.run("-n2")
    assert result.ret != pytest.ExitCode.OK
    says(result, "test_it.py::test_a: hyperv: cpus=0 is no whole number of at least 1")
    result = bed.run("-n2", "--continue-on-collection-errors")
    result.assert_outcomes(errors=1, passed=1)


def test_markers_of_classes_modules_and_parameters_are_checked(bed: Bed) -> None:
    bed.suite("pytestmark = hyperv(cpus=0)\n\ndef test_a(): pass", "test_module.py")
    bed.suite("@hyperv(cpus=0)\nclass TestIt:\n    def test_a(self): pass", "test_class.py")
    bed.suite(
        """
        @pytest.mark.parametrize("n", [pytest.param(1, marks=hyperv(cpus=1)), pytest.param(0, marks=hyperv(cpus=0))])
        def test_a(n, hyperv_vm): pass
        """,
        "test_parameter.py",
    )
    result = bed.run()
    result.assert_outcomes(errors=3)
    wrong = ("test_module.py::test_a: ", "test_class.py::TestIt::test_a: ", "test_parameter.py::test_a[0]: ")
    says(result, *(f"{name}hyperv: cpus=0" for name in wrong))
    assert "test_parameter.py::test_a[1]" not in result.stdout.str()


def test_a_wrong_marker_that_a_nearer_one_would_override_is_still_wrong(bed: Bed) -> None:
    bed.suite("pytestmark = hyperv(cpus=0)\n\n@hyperv(cpus=1)\ndef test_a(): pass")
    bed.run().assert_outcomes(errors=1)


def test_the_nearest_marker_wins_argument_by_argument(bed: Bed) -> None:
    bed.suite(
        """
        pytestmark = [hyperv(memory="128MiB", cpus=2), pytest.mark.hyperv_requires("tpm")]

        @hyperv(cpus=3, tpm=True)
        class TestIt:
            @pytest.mark.parametrize("n", [pytest.param(4, marks=hyperv(cpus=4)), 3])
            @hyperv(tpm=False, cpus=3)
            def test_spec(self, hyperv_vm, n):
                assert (hyperv_vm.spec.memory // 2**20, hyperv_vm.spec.cpus, hyperv_vm.spec.tpm) == (128, n, False)

        @hyperv(memory="256MiB")
        @hyperv(memory="512MiB")
        def test_two_on_one(hyperv_vm):
            assert hyperv_vm.spec.memory // 2**20 == 512
            assert hyperv_vm.spec.cpus == 2
        """
    )
    bed.run().assert_outcomes(passed=3)


def test_a_marker_that_a_conftest_adds_counts_and_a_wrong_one_is_an_error_of_that_test(bed: Bed) -> None:
    bed.suite(
        """
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.hyperv(cpus=0 if "wrong" in item.name else 3))
        """,
        "conftest.py",
    )
    bed.suite(
        """
        def test_right(hyperv_vm): assert hyperv_vm.spec.cpus == 3

        @hyperv(cpus=1)
        def test_wrong(hyperv_vm): pass

        def test_wrong_without_a_machine(): pass
        """
    )
    result = bed.run()
    result.assert_outcomes(passed=1, errors=2)
    says(result, "MarkerError: hyperv: cpus=0 is no whole number of at least 1")
    assert bed.lent() == ["test_it.py::test_right"]
