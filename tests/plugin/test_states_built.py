"""States of recipes: each built once, on the one below it, and anew exactly when something it depends on changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.plugin.conftest import Bed
from tests.plugin.fake_backend import SPEC, Script

pytestmark = pytest.mark.usefixtures("tree")
TREE = """
    from pytest_hyperv import hyperv_state

    LISTED = ["a", "b"]
    MARK = object()

    def write(vm, name):
        '''Helps both.'''
        vm.write_text(name, name)

    @hyperv_state(base="debian-12", inputs=["data/app.txt", "data"])
    def installed(vm):
        write(vm, "installed")
        vm.copy_in("data/app.txt", "app.txt")
        vm.write_text("listed", " ".join(LISTED))

    @hyperv_state(base=installed)
    def configured(vm):
        # it finds what the recipe below left
        vm.sh("cat app.txt installed > configured").check()

    @hyperv_state(base=installed)
    def broken_in(vm):
        vm.sh("rm app.txt").check()

    @hyperv(state=configured)
    @pytest.mark.parametrize("n", range(2))
    def test_configured(hyperv_vm, n):
        assert hyperv_vm.sh("ls").stdout.split() == ["app.txt", "configured", "installed", "listed"]
        assert hyperv_vm.read_text("configured") == hyperv_vm.read_text("app.txt") + "installed"
        hyperv_vm.write_text("dirt", "")

    @hyperv(state=broken_in)
    def test_broken_in(hyperv_vm):
        assert hyperv_vm.sh("ls").stdout.split() == ["installed", "listed"]

    @hyperv(state=installed)
    def test_installed(hyperv_vm):
        assert hyperv_vm.sh("ls").stdout.split() == ["app.txt", "installed", "listed"]

    def test_plain(hyperv_vm):
        assert hyperv_vm.sh("ls").stdout == ""
"""


@pytest.fixture
def tree(bed: Bed, pytester: pytest.Pytester) -> Path:
    """A suite on a tree of three states, in the folder that is returned."""
    (pytester.path / "data").mkdir()
    (pytester.path / "data" / "app.txt").write_text("app 1\n")
    bed.suite(TREE)
    return pytester.path


def built(bed: Bed) -> list[str]:
    """The recipes that ran since this was asked last, and the images that were booted."""
    told = [event for event in bed.events("clone", "build", "save") if event["event"] != "save"]
    done = [event["purpose"] for event in told if event["event"] == "build" or event["purpose"].startswith("state ")]
    (bed.cache / "journal.jsonl").write_text("")
    return done


def test_each_state_is_built_once_on_the_one_below_it(bed: Bed) -> None:
    result = bed.run()
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*5 machines of debian-12*4 states built"])
    result.stdout.fnmatch_lines(
        [
            "Preparing installed on debian-12 (512 MiB, 1 CPU): [[]1/2] running its recipe*",
            "Preparing configured on installed*",
        ]
    )
    assert built(bed) == ["debian-12", "state installed", "state configured", "state broken_in"]
    assert bed.left() == []


def test_the_next_run_builds_nothing(bed: Bed, tree: Path) -> None:
    bed.run().assert_outcomes(passed=5)
    built(bed)
    result = bed.run("--rootdir", str(tree))
    result.assert_outcomes(passed=5)
    assert built(bed) == []
    assert "built" not in result.stdout.str()


BRANCH = ["state installed", "state configured", "state broken_in"]


@pytest.mark.parametrize(
    ("before", "after", "again"),
    [
        ('write(vm, "installed")', 'write(vm, "installed"); vm.sh("true")', BRANCH),
        ("vm.write_text(name, name)", "vm.write_text(name, name, mode=0o600)", BRANCH),
        ('LISTED = ["a", "b"]', 'LISTED = ["a", "b", "c"]', BRANCH),
        ("cat app.txt installed > configured", "cat app.txt installed >> configured", ["state configured"]),
        ('vm.sh("rm app.txt")', 'vm.sh("rm -f app.txt")', ["state broken_in"]),
        ('LISTED = ["a", "b"]', 'LISTED = [*"ab"]', []),
        ("# it finds what the recipe below left", "# another comment", []),
        ("'''Helps both.'''", "'''Says something else.'''", []),
        ("MARK = object()", "MARK = [object()]", []),
        ('inputs=["data/app.txt", "data"]', 'inputs=[ "data/app.txt", "data" ], timeout=30', []),
        ("def test_plain(hyperv_vm):", "def test_plain(hyperv_vm, hyperv_image):", []),
    ],
)
def test_a_changed_source_rebuilds_its_branch_only(bed: Bed, before: str, after: str, again: list[str]) -> None:
    bed.run().assert_outcomes(passed=5)
    built(bed)
    assert before in TREE
    bed.suite(TREE.replace(before, after))
    bed.run().assert_outcomes(passed=5)
    assert built(bed) == again


@pytest.mark.parametrize("change", ["content", "added", "renamed", "program", "link"])
def test_a_changed_input_rebuilds_what_stands_on_it(bed: Bed, tree: Path, change: str) -> None:
    (tree / "data" / "other").write_text("")
    (tree / "data" / "link").symlink_to("other")
    bed.run().assert_outcomes(passed=5)
    built(bed)
    if change == "content":
        (tree / "data" / "app.txt").write_text("app 2\n")
    elif change == "added":
        (tree / "data" / "empty").mkdir()
    elif change == "renamed":
        (tree / "data" / "other").rename(tree / "data" / "another")
    elif change == "program":
        (tree / "data" / "other").chmod(0o755)
    else:
        (tree / "data" / "link").unlink()
        (tree / "data" / "link").symlink_to("app.txt")
    bed.run().assert_outcomes(passed=5)
    assert built(bed) == BRANCH


def test_an_input_that_is_only_touched_rebuilds_nothing(bed: Bed, tree: Path) -> None:
    bed.run().assert_outcomes(passed=5)
    built(bed)
    os.utime(tree / "data" / "app.txt", (1, 1))
    (tree / "data" / "app.txt").chmod(0o640)
    bed.run().assert_outcomes(passed=5)
    assert built(bed) == []


def test_another_machine_is_another_state(bed: Bed) -> None:
    bed.run().assert_outcomes(passed=5)
    built(bed)
    bed.suite(TREE.replace("@hyperv(state=configured)", "@hyperv(state=configured, memory='1GiB')"))
    bed.run().assert_outcomes(passed=5)
    assert built(bed) == ["debian-12", "state installed", "state configured"]


def test_a_run_from_another_folder_finds_the_same_inputs_and_states(
    bed: Bed, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "pytest.ini").write_text("[pytest]\n")
    bed.run().assert_outcomes(passed=5)
    built(bed)
    below = tree / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    bed.run("..").assert_outcomes(passed=5)
    assert built(bed) == []
    (tree / "data" / "app.txt").write_text("app 3\n")
    bed.run("..").assert_outcomes(passed=5)
    assert built(bed) == BRANCH


def test_an_input_that_is_not_there_is_named(bed: Bed, tree: Path) -> None:
    (tree / "data" / "app.txt").unlink()
    result = bed.run("-k", "test_installed or test_plain")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["StateError: the input data/app.txt of state installed cannot be read: No such file or directory*", "Hint: *"]
    )


def test_an_input_that_changes_while_its_state_is_built_is_not_saved_under_the_wrong_key(bed: Bed) -> None:
    bed.suite(TREE.replace('write(vm, "installed")', 'open("data/app.txt", "a").write("more")'))
    result = bed.run("-k", "test_installed")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["StateError: the recipe of state installed, or an input, was changed while*"])
    assert [path.name for path in (bed.cache / "states").iterdir() if path.is_dir()] == [folder_of_image(bed)]
    assert bed.left() == []


def folder_of_image(bed: Bed) -> str:
    """The folder of the booted image's state."""
    (path,) = (bed.cache / "states").glob(f"*/{SPEC}")
    return path.parent.name


def folder_of(bed: Bed, name: str) -> Path:
    """The folder of a state by its name."""
    (path,) = (path for path in (bed.cache / "states").glob("*/state.json") if f'"name": "{name}"' in path.read_text())
    return path.parent


def test_a_damaged_state_is_rebuilt_and_those_above_it_too(bed: Bed) -> None:
    bed.run().assert_outcomes(passed=5)
    built(bed)
    (folder_of(bed, "installed") / SPEC).write_text("{")
    bed.run("-k", "test_configured").assert_outcomes(passed=2)
    assert built(bed) == [], "what stands on it has all it needs on its own, as far as the fake goes"
    bed.run("-k", "test_installed").assert_outcomes(passed=1)
    assert built(bed) == ["state installed"]
    bed.run("-k", "test_configured or test_broken_in").assert_outcomes(passed=3)
    assert built(bed) == ["state configured", "state broken_in"]


def test_a_state_whose_ground_is_gone_is_rebuilt(bed: Bed) -> None:
    bed.run().assert_outcomes(passed=5)
    built(bed)
    ground = folder_of(bed, "installed")
    ground.rename(bed.cache / "elsewhere")
    bed.run("-k", "test_configured").assert_outcomes(passed=2)
    assert built(bed) == ["state installed", "state configured"]


def test_spares_are_of_the_state_that_is_wanted(bed: Bed) -> None:
    bed.suite(
        """
        @pytest.fixture(autouse=True)
        def settled(request):
            yield
            from pytest_hyperv.lab import lab_of
            lab_of(request.config).pool("qemu").settle()
        """,
        "conftest.py",
    )
    bed.suite(
        TREE
        + """
    @hyperv(state=configured)
    def test_later(hyperv_vm):
        assert hyperv_vm.sh("ls configured")

    def test_plain_later(hyperv_vm):
        assert hyperv_vm.sh("ls").stdout == ""
"""
    )
    result = bed.run()
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["*7 machines*3 from a warm spare*"])
    assert bed.left() == []


def test_a_shared_machine_is_shared_by_tests_of_one_state_only(bed: Bed) -> None:
    bed.suite("pytestmark = hyperv(reset='module')\n" + TREE.replace("\n    ", "\n"))
    bed.run().assert_outcomes(passed=4, failed=1)
    assert len([purpose for purpose in bed.lent() if not purpose.startswith("state ")]) == 4


def test_a_recipe_may_run_another_one_and_a_test_may_too(bed: Bed) -> None:
    bed.suite(
        """
        from pytest_hyperv import hyperv_state

        @hyperv_state(base="debian-12")
        def one(vm): vm.write_text("one", "")

        @hyperv_state(base="other")
        def two(vm):
            one(vm)
            vm.write_text("two", "")

        @hyperv(state=two)
        def test_two(hyperv_vm):
            assert hyperv_vm.image.name == "other"
            assert hyperv_vm.sh("ls").stdout.split() == ["one", "two"]

        def test_plain(hyperv_vm):
            one(hyperv_vm)
            assert hyperv_vm.sh("ls").stdout.split() == ["one"]
        """
    )
    bed.run().assert_outcomes(passed=2)


def test_what_goes_wrong_on_the_host_is_tried_again_by_the_next_test(bed: Bed) -> None:
    bed.script(Script(faults={"save": {"1": "HostError"}}))
    result = bed.run("-k", "test_configured")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["HostError: the script has save fail"])
    assert [path for path in (bed.cache / "states").iterdir() if path.name.startswith(".building")] == []
    assert bed.left() == []
