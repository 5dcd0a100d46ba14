"""A run without machines loads next to nothing of the plugin, starts no thread, and makes no file."""

from __future__ import annotations

import json

import pytest

from tests.plugin.conftest import Bed

HEAVY = [
    "asyncio",
    "click",
    "concurrent.futures",
    "filelock",
    "platformdirs",
    "psrpcore",
    "psutil",
    "qemu",
    "rich",
    "tenacity",
    "winrm",
]
OURS = {
    "pytest_hyperv",
    "pytest_hyperv.cache",
    "pytest_hyperv.durations",
    "pytest_hyperv.errors",
    "pytest_hyperv.fixtures",
    "pytest_hyperv.hookspecs",
    "pytest_hyperv.options",
    "pytest_hyperv.plugin",
    "pytest_hyperv.settings",
    "pytest_hyperv.sizes",
    "pytest_hyperv.stash",
    "pytest_hyperv.wishes",
}
LISTED = """
    import atexit, json, pathlib, sys, threading

    def listed():
        told = {"modules": sorted(sys.modules), "threads": [thread.name for thread in threading.enumerate()]}
        pathlib.Path(__file__).with_name("loaded.json").write_text(json.dumps(told))

    atexit.register(listed)
"""


def loaded(bed: Bed, pytester: pytest.Pytester, *options: str) -> set[str]:
    """The modules that a process of pytest had loaded at its end; no other plugin is in it."""
    bed.suite(LISTED, "conftest.py")
    with pytest.MonkeyPatch.context() as context:
        context.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        result = pytester.runpytest_subprocess(*options)
    assert result.ret == pytest.ExitCode.OK
    told = json.loads((pytester.path / "loaded.json").read_text())
    assert told["threads"] == ["MainThread"]
    return set(told["modules"])


@pytest.mark.parametrize("options", [["--collect-only"], []], ids=["collected", "run"])
def test_an_unrelated_suite_loads_nothing_heavy(bed: Bed, pytester: pytest.Pytester, options: list[str]) -> None:
    bed.suite("@pytest.mark.parametrize('n', range(3))\ndef test_it(n, tmp_path): pass")
    without = loaded(bed, pytester, *options)
    with_us = loaded(bed, pytester, "-p", "pytest_hyperv.plugin", *options)
    assert "pytest_hyperv" not in without
    assert {name for name in with_us if name.partition(".")[0] == "pytest_hyperv"} <= OURS
    added = {name for name in with_us - without if name.partition(".")[0] != "pytest_hyperv"}
    assert added == set()
    assert sorted(bed.cache.iterdir()) == [bed.cache / "images"]


def test_collecting_tests_with_machines_still_loads_nothing_heavy(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite("@hyperv(cpus=2)\ndef test_it(hyperv_vm): pass")
    modules = loaded(bed, pytester, "-p", "pytest_hyperv.plugin", "--collect-only")
    assert "pytest_hyperv.markers" in modules
    assert [name for name in HEAVY if name in modules] == []
    assert [name for name in modules if name.startswith("pytest_hyperv.backends")] == []


def test_help_loads_what_it_shows_and_no_more(bed: Bed, pytester: pytest.Pytester) -> None:
    modules = loaded(bed, pytester, "-p", "pytest_hyperv.plugin", "--help")
    ours = {"", ".fixtures", ".hookspecs", ".options", ".plugin"}
    assert {name for name in modules if name.startswith("pytest_hyperv")} == {f"pytest_hyperv{name}" for name in ours}


def test_a_test_with_a_machine_does_load_them(bed: Bed, pytester: pytest.Pytester) -> None:
    bed.suite("def test_it(hyperv_vm): pass")
    modules = loaded(
        bed, pytester, "-p", "pytest_hyperv.plugin", "-p", "tests.plugin.fake_backend", "--hyperv-spares=0"
    )
    assert {"filelock", "psutil", "tenacity", "concurrent.futures"} <= modules
