"""A golden image of another format is converted in a folder that goes when the run is killed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_hyperv.backends.hyperv import cmdlets, golden
from pytest_hyperv.backends.hyperv.backend import HypervBackend
from pytest_hyperv.backends.hyperv.golden import disk_on_host
from pytest_hyperv.image_files import DiskFile, convert
from pytest_hyperv.progress import Silent
from pytest_hyperv.spec import MIB, DiskFormat
from tests.hyperv.simulation import Simulation


def test_the_converted_disk_lies_in_the_given_folder_and_goes_again(
    host: Simulation, backend: HypervBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "disk.raw").write_bytes(os.urandom(MIB))
    digest = f"sha256:{os.urandom(32).hex()}"
    image = replace(host.image, folder=tmp_path, format="raw", virtual_size=MIB, digest=digest)
    written: list[Path] = []

    def noted(source: DiskFile, target: Path, form: DiskFormat, *, image: str) -> None:
        convert(source, target, form, image=image)
        written.append(target)

    monkeypatch.setattr(golden, "convert", noted)
    path = disk_on_host(backend.host, image, Silent(), backend.leases.alone, workspace)

    assert [each.parent for each in written] == [workspace]
    assert list(workspace.iterdir()) == []
    assert backend.host.ask(cmdlets.exists(path)).one
