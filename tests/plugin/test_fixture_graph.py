"""Fixtures as a user's own fixtures build on them: overridden images, PowerShell, machines asked for by name."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Bed
from tests.plugin.fake_backend import Script

OTHER_IMAGE = """
    @pytest.fixture
    def hyperv_image():
        return "other"
"""


def test_a_package_chooses_its_image_and_a_marker_overrules_it(bed: Bed) -> None:
    bed.suite(OTHER_IMAGE, "package/conftest.py")
    test = (
        "def test_it(hyperv_vm, hyperv_vm_factory):\n"
        "    print('image', hyperv_vm.image.name, hyperv_vm_factory()[0].image.name)"
    )
    bed.suite(test, "package/test_in.py")
    bed.suite(f"@hyperv(image='windows')\n{test}", "package/test_marked.py")
    bed.suite(test, "test_out.py")
    result = bed.run()
    result.assert_outcomes(passed=3)
    images = [line for line in result.outlines if line.startswith("image ")]
    assert images == ["image other other", "image windows windows", "image debian-12 debian-12"]


def test_powershell_on_a_guest_without_it_is_skipped_with_the_reason_or_failed(bed: Bed) -> None:
    bed.suite("def test_it(psdirect): pass")
    result = bed.run()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED [[]1] test_it.py:4: this host cannot: powershell: the image debian-12 has none"]
    )
    result = bed.run("--hyperv-strict")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*requirements not met (--hyperv-strict): powershell: the image debian-12 has none*"])
    assert bed.left() == []


def test_powershell_is_the_session_of_the_same_machine(bed: Bed) -> None:
    bed.suite(
        """
        from pytest_hyperv.errors import GuestError

        @hyperv(image='windows')
        def test_it(psdirect, hyperv_vm):
            with pytest.raises(GuestError, match="this guest has no PowerShell"):
                psdirect.ps("1 + 1")
        """
    )
    bed.run().assert_outcomes(passed=1)
    assert len(bed.lent()) == 1


def test_a_users_fixture_gets_the_machine_of_its_test(bed: Bed) -> None:
    bed.suite(
        """
        @pytest.fixture
        def installed(hyperv_vm):
            hyperv_vm.write_text("installed", "yes")
            yield hyperv_vm
            assert hyperv_vm.read_text("installed") == "yes"

        @hyperv(cpus=2)
        def test_it(installed, hyperv_vm):
            assert installed is hyperv_vm
            assert installed.spec.cpus == 2
        """
    )
    bed.run().assert_outcomes(passed=1)
    assert len(bed.lent()) == 1


def test_a_machine_asked_for_by_name_while_the_test_runs_is_gated_and_given_back(bed: Bed) -> None:
    bed.script(Script(missing={"tpm": "swtpm is not installed"}))
    bed.suite(
        """
        def test_plain(request): assert request.getfixturevalue("hyperv_vm").sh("true")

        @pytest.mark.parametrize("name", ["hyperv_vm", "hyperv_vm_factory"])
        @hyperv(cpus=2)
        def test_marked(request, name): request.getfixturevalue(name)
        """
    )
    result = bed.run("--hyperv-spares=0")
    result.assert_outcomes(passed=3)
    assert bed.lent() == ["test_it.py::test_plain", "test_it.py::test_marked[hyperv_vm]"]
    assert bed.left() == []


def test_a_machine_asked_for_by_name_that_this_host_cannot_make_is_a_skip_of_that_test(bed: Bed) -> None:
    bed.script(Script(missing={"uefi": "no firmware is installed"}))
    bed.suite("def test_it(request):\n    request.getfixturevalue('hyperv_vm')")
    result = bed.run()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED [[]1] test_it.py:4: this host cannot: uefi: no firmware is installed"])


def test_a_broader_fixture_cannot_take_a_tests_machine(bed: Bed) -> None:
    bed.suite(
        """
        @pytest.fixture(scope="module")
        def mine(hyperv_vm): pass

        def test_it(mine): pass
        """
    )
    result = bed.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ScopeMismatch: You tried to access the function scoped fixture hyperv_vm*"])


def test_unittest_style_tests_are_told_apart_by_their_markers_too(bed: Bed) -> None:
    bed.suite(
        """
        import unittest

        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def machine(self, hyperv_vm): self.vm = hyperv_vm

            @hyperv(cpus=3)
            def test_it(self): self.assertEqual(self.vm.spec.cpus, 3)
        """
    )
    bed.run().assert_outcomes(passed=1)


@pytest.mark.parametrize("where", ["module", "session"])
def test_packages_with_images_of_their_own_do_not_share_a_machine(bed: Bed, where: str) -> None:
    bed.suite(OTHER_IMAGE, "package/conftest.py")
    test = f"@hyperv(reset={where!r})\ndef test_it(hyperv_vm): print('image', hyperv_vm.image.name)"
    bed.suite(test, "package/test_in.py")
    bed.suite(test, "test_out.py")
    result = bed.run()
    result.assert_outcomes(passed=2)
    assert [line for line in result.outlines if line.startswith("image ")] == ["image other", "image debian-12"]
