"""A saved machine is whole, or refused with the file that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_hyperv.backends.qemu import bundle as bundles
from pytest_hyperv.backends.qemu.bundle import Bundle, Inside
from pytest_hyperv.backends.qemu.unanswered import Unanswered
from pytest_hyperv.errors import StateError
from pytest_hyperv.spec import MIB, MachineSpec


@pytest.fixture
def saved(tmp_path: Path) -> Bundle:
    """A bundle of small files, written."""
    folder = tmp_path / "state"
    folder.mkdir()
    for name in ("ram", "device.state", "disk.qcow2", "vars.fd"):
        (folder / name).write_bytes(b"x" * 100)
    (tmp_path / "golden.qcow2").touch()
    bundle = Bundle(
        folder=folder,
        spec=MachineSpec(dynamic_memory=(256 * MIB, 768 * MIB)),
        os_family="linux",
        layers=(tmp_path / "golden.qcow2", folder / "disk.qcow2"),
        memory=True,
        inside=Inside(server=True, powershell="8a0b"),
        accelerator="tcg",
        sizes=bundles.measured(folder),
    )
    bundle.write()
    return bundle


def test_what_was_written_is_read_again(saved: Bundle) -> None:
    assert bundles.read(saved.folder) == saved


def test_a_bundle_may_be_published_in_another_place(saved: Bundle) -> None:
    moved = saved.folder.rename(saved.folder.with_name("published"))
    assert bundles.read(moved).layers[-1] == moved / "disk.qcow2"


def test_a_sealed_bundle_can_still_be_read(saved: Bundle) -> None:
    bundles.seal(saved.folder)
    assert bundles.read(saved.folder) == saved
    assert (saved.folder / "device.state").stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize("name", ["ram", "device.state", "disk.qcow2", "vars.fd"])
def test_a_truncated_or_missing_file_is_named(saved: Bundle, name: str) -> None:
    (saved.folder / name).write_bytes(b"x" * 99)
    with pytest.raises(StateError, match=f"{name} has 99 bytes instead of 100"):
        bundles.read(saved.folder)
    (saved.folder / name).unlink()
    with pytest.raises(StateError, match=f"{name} is missing"):
        bundles.read(saved.folder)


def test_a_missing_golden_disk_is_named(saved: Bundle) -> None:
    saved.layers[0].unlink()
    with pytest.raises(StateError, match=r"golden\.qcow2 under it is missing"):
        bundles.read(saved.folder)


@pytest.mark.parametrize("facts", ["", "{}", "[]", '{"format": 0}', '{"format": 1, "spec": {}}'])
def test_unreadable_facts_are_refused(saved: Bundle, facts: str) -> None:
    (saved.folder / "bundle.json").write_text(facts)
    with pytest.raises(StateError):
        bundles.read(saved.folder)


def test_a_bundle_whose_session_cannot_be_opened_is_read_no_more(saved: Bundle) -> None:
    with (
        pytest.raises(Unanswered, match="saved with the machine does not answer: silent twice") as told,
        bundles.condemned_if_unanswered(saved),
    ):
        raise Unanswered("silent twice")
    assert "built anew" in told.value.hint
    with pytest.raises(StateError, match="is of no use: silent twice"):
        bundles.read(saved.folder)
