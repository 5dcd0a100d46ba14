"""A simulated host of a test's own, and a session of the package's client with its PowerShell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_hyperv.psrp.client import Session
from pytest_hyperv.psrp.local import open_local
from tests.hvsim.creation import make_host
from tests.hvsim.host.options import HostOptions

SWITCHES = ("-NoLogo", "-NoProfile", "-s")


def started(launcher: Path) -> Session:
    """A session with a new process of the host."""
    return open_local([str(launcher), *SWITCHES], timeout=60, attempts=1)


@pytest.fixture
def host(tmp_path: Path) -> Callable[[HostOptions], Path]:
    """Makes a host with these options and returns its launcher."""
    return lambda options: make_host(tmp_path / "host", options)


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """The launcher of a host as it is by default."""
    return make_host(tmp_path / "host")


@pytest.fixture
def folder(launcher: Path) -> Path:
    """The folder of the host of `launcher`."""
    return launcher.parents[1]


@pytest.fixture
def session(launcher: Path) -> Iterator[Session]:
    """A session with a process of that host."""
    with started(launcher) as opened:
        yield opened
