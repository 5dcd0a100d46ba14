"""Runs of pytest inside the tests, on a cache of their own that shares images and states with the outer run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_hyperv.lab import lab_of
from pytest_hyperv.ledger import Ledger
from pytest_hyperv.markers import marks_of, wish_of


@pytest.fixture
def own_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A cache whose machines are this test's alone; images and states are those of the outer run, built already."""
    lab = lab_of(request.config)
    wish = wish_of(marks_of(request.node), lab.settings)
    lab.prepare(wish)
    shared = lab.cache
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("images", "states"):
        (cache / name).symlink_to(shared / name)
    (cache / "qemu-probe.json").write_bytes((shared / "qemu-probe.json").read_bytes())
    return cache


@pytest.fixture
def left_over(own_cache: Path) -> Callable[[], list[Path]]:
    """What the machines of ``own_cache`` have left on disk."""
    return lambda: [path for path in Ledger(own_cache / "machines").root.glob("*") if not path.name.endswith(".lock")]
