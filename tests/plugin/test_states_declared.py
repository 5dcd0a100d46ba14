"""What is wrong about a state is told where it is declared, or as its tests are collected."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Bed

HEAD = """
    from pytest_hyperv import hyperv_state

    @hyperv_state(base="debian-12")
    def one(vm): pass

    def plain(vm): pass

"""
WRONG_MARKS = {
    "hyperv(state=plain)": ["hyperv: state=plain is a function without @hyperv_state"],
    "hyperv(state='one')": ["hyperv: state='one' is no state: give the function itself that @hyperv_state decorates"],
    "hyperv(state=None)": ["hyperv: state=None is no state"],
    "hyperv(state=one, image='debian-12')": [
        "hyperv: image='debian-12' and state=one exclude each other",
        "Hint: leave out image=: the state is made on debian-12.",
    ],
    "hyperv(state=one, memory='1MiB')": ["hyperv: memory='1MiB' is no memory size"],
    "hyperv(sate=one)": ["hyperv: unknown argument 'sate' (did you mean 'state'?)"],
}
WRONG_STATES = {
    "@hyperv_state(base=plain)\n    def two(vm): pass": "base=plain is a function without @hyperv_state",
    "@hyperv_state(base='')\n    def two(vm): pass": "base='' is neither an image's name nor a state",
    "@hyperv_state(base=None)\n    def two(vm): pass": "base=None is neither",
    "@hyperv_state(base=one, inputs='a.deb')\n    def two(vm): pass": "inputs='a.deb' is no list of paths",
    "@hyperv_state(base=one, inputs=[1])\n    def two(vm): pass": "inputs= holds 1, which is no path",
    "@hyperv_state(base=one, timeout=0)\n    def two(vm): pass": "timeout=0 is no number of seconds",
    "@hyperv_state(base=one)\n    def two(): pass": "its recipe must take the machine and nothing else",
    "@hyperv_state(base=one)\n    def two(vm, n=1): pass": "its recipe must take the machine and nothing else",
    "@hyperv_state(base=one)\n    def two(*vms): pass": "its recipe must take the machine and nothing else",
    "@hyperv_state(base=one)\n    def two(vm): yield": "its recipe is a generator or coroutine",
    "@hyperv_state(base=one)\n    async def two(vm): pass": "its recipe is a generator or coroutine",
    "two = hyperv_state(base=one)(lambda vm: None)": "its recipe is not at the top of a module",
    "@hyperv_state(base=one)\n    class two: pass": "a recipe is a function",
    "@hyperv_state(base=one)\n    @hyperv_state(base=one)\n    def two(vm): pass": "it is a state already",
    "@hyperv_state(base=one)\n    @pytest.mark.slow\n    def two(vm): pass": "its recipe has a pytest marker",
    "class Two:\n        @hyperv_state(base=one)\n        def two(vm): pass": "its recipe is not at the top",
}


@pytest.mark.parametrize("mark", WRONG_MARKS)
def test_a_wrong_state_of_a_marker_is_a_collection_error_that_names_the_test(bed: Bed, mark: str) -> None:
    bed.suite(f"{HEAD}    @{mark}\n    def test_it(hyperv_vm): pass")
    result = bed.run()
    result.assert_outcomes(errors=1)
    for text in ("test_it.py::test_it: ", *WRONG_MARKS[mark]):
        assert text in result.stdout.str()
    assert bed.events() == []


@pytest.mark.parametrize("declared", WRONG_STATES)
def test_a_state_that_cannot_be_is_an_error_of_its_module(bed: Bed, declared: str) -> None:
    bed.suite(f"{HEAD}    {declared}\n\n    def test_it(hyperv_vm): pass")
    result = bed.run()
    result.assert_outcomes(errors=1)
    assert "cannot be declared: " + WRONG_STATES[declared] in result.stdout.str()
    assert bed.events() == []


def test_a_nearer_image_takes_the_place_of_a_state_and_the_other_way_round(bed: Bed) -> None:
    bed.suite(
        HEAD
        + """
    @hyperv_state(base="other")
    def two(vm): vm.write_text("two", "")

    @hyperv(state=two, memory="1GiB")
    class TestThese:
        def test_state(self, hyperv_vm):
            assert hyperv_vm.image.name == "other"
            assert hyperv_vm.spec.image == "other"
            assert hyperv_vm.sh("ls").stdout.split() == ["two"]

        @hyperv(image="debian-12")
        def test_image(self, hyperv_vm, hyperv_vm_factory):
            (two,) = hyperv_vm_factory(state=two_)
            for vm, image, files in ((hyperv_vm, "debian-12", []), (two, "other", ["two"])):
                assert vm.image.name == image
                assert vm.spec.memory == 2**30
                assert vm.sh("ls").stdout.split() == files

    two_ = two
"""
    )
    bed.run().assert_outcomes(passed=2)


def test_a_state_goes_by_before_the_image_that_a_fixture_chooses(bed: Bed) -> None:
    bed.suite("@pytest.fixture\ndef hyperv_image(): return 'other'", "conftest.py")
    bed.suite(HEAD + "    @hyperv(state=one)\n    def test_it(hyperv_vm): assert hyperv_vm.image.name == 'debian-12'")
    bed.run().assert_outcomes(passed=1)


def test_collecting_and_help_build_nothing(bed: Bed) -> None:
    bed.suite(HEAD + "    @hyperv(state=one)\n    def test_it(hyperv_vm): pass")
    assert bed.run("--collect-only").ret == pytest.ExitCode.OK
    assert bed.events() == []
    assert not (bed.cache / "states").exists()


def test_a_state_of_another_module_is_the_same_state(bed: Bed) -> None:
    bed.suite(
        "from pytest_hyperv import hyperv_state\n\n@hyperv_state(base='debian-12')\ndef one(vm): pass", "machines.py"
    )
    for name in ("test_a.py", "test_b.py"):
        bed.suite("from machines import one\n\n@hyperv(state=one)\ndef test_it(hyperv_vm): pass", name)
    bed.run().assert_outcomes(passed=2)
    assert len(bed.events("save")) == 1
