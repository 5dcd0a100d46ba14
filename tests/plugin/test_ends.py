"""However a run ends, no machine outlives it."""

from __future__ import annotations

import importlib.util

import pytest

from tests.plugin.conftest import Bed

HAS_XDIST = importlib.util.find_spec("xdist") is not None
MANY = """
    import signal

    def interrupt():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGINT)

    def test_passes(hyperv_vm): pass

    def test_errors(hyperv_vm, broken): pass

    @hyperv(reset="module")
    def test_shared(hyperv_vm): pass

    @hyperv(reset="session")
    def test_longer(hyperv_vm): pass

    def test_several(hyperv_vm, hyperv_vm_factory): hyperv_vm_factory(2)

    def test_ends(hyperv_vm, hyperv_vm_factory):
        hyperv_vm_factory(2)
        {end}

    @pytest.mark.parametrize("n", range(4))
    def test_after(hyperv_vm, n): pass
"""
BROKEN = """
    @pytest.fixture
    def broken(hyperv_vm):
        yield
        raise RuntimeError("teardown went wrong")
"""


def suite(bed: Bed, end: str) -> None:
    """A module that ends in the middle."""
    bed.suite(BROKEN, "conftest.py")
    bed.suite(MANY.format(end=end))


def made_and_ended(bed: Bed) -> None:
    """Check that every machine was ended, exactly those that were made."""
    made = sorted(event["machine"] for event in bed.events("clone"))
    ended = sorted(event["machine"] for event in bed.events("discard"))
    assert len(made) >= 8
    assert made == ended
    assert bed.left() == []


@pytest.mark.parametrize("options", [[], ["-x"], ["--maxfail=2"], *([["-n2"]] if HAS_XDIST else [])], ids=" ".join)
def test_every_machine_ends_when_tests_fail_with(bed: Bed, options: list[str]) -> None:
    bed.suite(BROKEN, "conftest.py")
    bed.suite(MANY.format(end="assert 0").replace(", broken", "" if "-x" in options else ", broken"))
    result = bed.run(*options)
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    made_and_ended(bed)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("raise KeyboardInterrupt", pytest.ExitCode.INTERRUPTED),
        ("interrupt()", pytest.ExitCode.INTERRUPTED),
        ("pytest.exit('enough', returncode=7)", 7),
        ("raise SystemExit(3)", pytest.ExitCode.TESTS_FAILED),
    ],
)
def test_every_machine_ends_when_the_run_is_broken_off_by(bed: Bed, end: str, code: int) -> None:
    suite(bed, end)
    result = bed.run_apart()
    assert result.ret == code
    made_and_ended(bed)


@pytest.mark.parametrize("broken", ["setup", "teardown"])
def test_every_machine_ends_when_a_users_fixture_fails_in(bed: Bed, broken: str) -> None:
    before, after = ("raise RuntimeError", "") if broken == "setup" else ("", "raise RuntimeError")
    bed.suite(
        f"""
        @pytest.fixture
        def mine(hyperv_vm, hyperv_vm_factory):
            hyperv_vm_factory(2)
            {before or "pass"}
            yield
            {after or "pass"}

        def test_it(mine): pass
        """
    )
    result = bed.run()
    assert result.parseoutcomes()["errors"] == 1
    assert len(bed.events("clone")) == len(bed.events("discard")) == 3
    assert bed.left() == []


@pytest.mark.skipif(not HAS_XDIST, reason="pytest-xdist is not installed")
def test_a_worker_that_is_interrupted_ends_its_machines(bed: Bed) -> None:
    suite(bed, "raise KeyboardInterrupt")
    result = bed.run_apart("-n2")
    assert result.ret != pytest.ExitCode.OK
    assert bed.left() == []
