"""The catalogue of images with real disk files and the real qemu-img; only the recipe is a small one."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_hyperv import images
from pytest_hyperv.errors import ImageError
from pytest_hyperv.images import DiskFacts, ImageStore
from pytest_hyperv.progress import Lines, Silent, Task
from pytest_hyperv.recipes.debian import Built
from pytest_hyperv.spec import MIB, DiskFormat

LINUX = DiskFacts("linux", "agent")


def raw_disk(path: Path, size: int = 3 * MIB) -> Path:
    """A disk with a partition table's signature and some data, sparse otherwise."""
    with path.open("wb") as disk:
        disk.truncate(size)
        disk.seek(510)
        disk.write(b"\x55\xaa")
        disk.seek(MIB)
        disk.write(os.urandom(70_000))
    return path


def qemu_img(*arguments: object) -> str:
    """What qemu-img wrote."""
    command = ["qemu-img", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "cache" / "images")


@pytest.fixture
def imported(store: ImageStore, tmp_path: Path) -> ImageStore:
    store.import_disk("small", raw_disk(tmp_path / "small.img"), LINUX, Silent())
    return store


def small_recipe(folder: Path, task: Task) -> Built:
    task.step("making a small disk")
    (folder / "rubbish").mkdir()
    return Built(raw_disk(folder / "disk.raw"), 3 * MIB, "6.1.0-test")


def recipe_with_a_key(folder: Path, task: Task) -> Built:
    (folder / "ssh_key").write_text("private")
    return replace(small_recipe(folder, task), guest_road="ssh", credentials="key:root")


@pytest.mark.parametrize("format", ["qcow2", "vhdx", "raw"])
def test_every_format_is_told_by_content_and_kept_as_a_sealed_qcow2(
    store: ImageStore, tmp_path: Path, format: str
) -> None:
    raw, disk = raw_disk(tmp_path / "source"), tmp_path / "disk, with a comma.img"
    qemu_img("convert", "-f", "raw", "-O", format, raw, disk)
    image = store.import_disk("small", disk, LINUX, Silent())
    assert image == store.get("small")
    assert image.virtual_size == 3 * MIB
    assert image.disk.stat().st_mode & 0o777 == 0o400
    assert image.folder.stat().st_mode & 0o777 == 0o700
    assert json.loads(qemu_img("info", "--output=json", image.disk))["format"] == "qcow2"
    assert "identical" in qemu_img("compare", "-f", "raw", "-F", "qcow2", raw, image.disk)


def test_a_size_is_rounded_up_to_whole_mebibytes(store: ImageStore, tmp_path: Path) -> None:
    image = store.import_disk("odd", raw_disk(tmp_path / "odd", 2 * MIB + 512), LINUX, Silent())
    assert image.virtual_size == 3 * MIB
    assert json.loads(qemu_img("info", "--output=json", image.disk))["virtual-size"] == 3 * MIB


def test_a_disk_with_a_backing_file_is_refused_unopened(store: ImageStore, tmp_path: Path) -> None:
    secret = raw_disk(tmp_path / "secret")
    qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", tmp_path / "overlay.qcow2")
    with pytest.raises(ImageError, match="depends on a backing file"):
        store.import_disk("hostile", tmp_path / "overlay.qcow2", LINUX, Silent())
    assert store.names() == []


def test_a_disk_with_an_external_data_file_is_refused(store: ImageStore, tmp_path: Path) -> None:
    option = f"data_file={tmp_path / 'data.raw'}"
    qemu_img("create", "-f", "qcow2", "-o", option, tmp_path / "outside.qcow2", "1M")
    with pytest.raises(ImageError, match="keeps its data in another file"):
        store.import_disk("hostile", tmp_path / "outside.qcow2", LINUX, Silent())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"KDMV" + bytes(600), "is a VMDK file"),
        (b"plain text", "is no disk"),
        (b"vhdxfile" + bytes(4096), "cannot be read as vhdx"),
        (b"QFI\xfb\0\0", "truncated qcow2"),
        (b"QFI\xfb\0\0\0\3" + bytes(400), "cannot be read as qcow2"),
        (b"", "is no disk"),
    ],
)
def test_what_is_no_disk_is_refused_with_its_reason(
    store: ImageStore, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "disk").write_bytes(content)
    with pytest.raises(ImageError, match=says):
        store.import_disk("bad", tmp_path / "disk", LINUX, Silent())
    assert not (tmp_path / "cache").exists()


def test_a_missing_source_is_named(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no disk file .*nowhere\.vhdx"):
        store.import_disk("bad", tmp_path / "nowhere.vhdx", LINUX, Silent())


def test_credentials_are_references_and_never_told(store: ImageStore, tmp_path: Path) -> None:
    facts = DiskFacts("windows", "psdirect", credentials="Passw0rd")
    with pytest.raises(ImageError, match="must be a reference") as refused:
        store.import_disk("win", raw_disk(tmp_path / "disk"), facts, Silent())
    assert "Passw0rd" not in str(refused.value)
    facts = DiskFacts("windows", "psdirect", credentials="keyring:lab/Administrator", powershell=True)
    assert store.import_disk("win", tmp_path / "disk", facts, Silent()).credentials == "keyring:lab/Administrator"


@pytest.mark.parametrize("name", ["../up", "Upper", "", ".hidden", "a/b", "x" * 80])
def test_a_name_that_is_no_plain_folder_is_refused(store: ImageStore, name: str) -> None:
    with pytest.raises(ImageError, match="cannot be the name of an image"):
        store.get(name)


def test_an_unknown_image_names_the_closest_one_and_the_command(imported: ImageStore) -> None:
    with pytest.raises(ImageError, match="no image named 'smal'") as unknown:
        imported.get("smal")
    assert "Did you mean small?" in unknown.value.hint
    with pytest.raises(ImageError, match="has not been built") as unbuilt:
        imported.get("debian-12")
    assert "pytest-hyperv images build debian-12" in unbuilt.value.hint


def test_a_flipped_byte_is_found_by_get_because_the_file_looks_different(imported: ImageStore) -> None:
    disk = imported.get("small").disk
    alter(disk, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ImageError, match="altered or cut short") as damaged:
        imported.get("small")
    assert "images import small DISK --replace" in damaged.value.hint


def test_a_flipped_byte_with_its_time_set_back_is_found_by_verify(imported: ImageStore) -> None:
    disk = imported.get("small").disk
    before = disk.stat()
    alter(disk, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(disk, ns=(before.st_atime_ns, before.st_mtime_ns))
    imported.get("small")
    with pytest.raises(ImageError, match="altered"):
        imported.verify("small")


def test_a_truncated_disk_is_found(imported: ImageStore) -> None:
    alter(imported.get("small").disk, lambda content: content[: len(content) // 2])
    with pytest.raises(ImageError, match="cut short"):
        imported.get("small")


def test_a_touched_but_unaltered_disk_is_hashed_once_and_fine(imported: ImageStore) -> None:
    image = imported.get("small")
    os.utime(image.disk, ns=(1, 1))
    assert imported.get("small") == image
    assert json.loads((image.folder / "stamp.json").read_text())[1] == 1


def test_a_missing_disk_and_unreadable_facts_are_damage(imported: ImageStore) -> None:
    folder = imported.get("small").folder
    (folder / "disk.qcow2").unlink()
    with pytest.raises(ImageError, match="is gone"):
        imported.get("small")
    alter(folder / "image.json", lambda content: content[:20])
    with pytest.raises(ImageError, match="facts cannot be read"):
        imported.get("small")


def test_an_image_is_replaced_only_when_asked_and_the_old_disk_stays_where_machines_have_it(
    imported: ImageStore, tmp_path: Path
) -> None:
    old = imported.get("small")
    other = raw_disk(tmp_path / "other")
    with pytest.raises(ImageError, match="exists already"):
        imported.import_disk("small", other, LINUX, Silent())
    new = imported.import_disk("small", other, LINUX, Silent(), replace=True)
    assert new.disk != old.disk
    assert old.disk.is_file()
    assert imported.get("small") == new
    third = imported.import_disk("small", raw_disk(tmp_path / "third"), LINUX, Silent(), replace=True)
    assert new.disk.is_file()
    assert third.disk.is_file()
    assert not old.disk.exists()


@pytest.mark.parametrize("format", ["qcow2", "vhdx", "raw"])
def test_an_export_holds_the_same_bytes(imported: ImageStore, tmp_path: Path, format: DiskFormat) -> None:
    target = imported.export("small", tmp_path / f"out.{format}", format, Silent())
    told = json.loads(qemu_img("info", "-f", format, "--output=json", target))
    assert told["virtual-size"] == 3 * MIB
    assert "identical" in qemu_img("compare", "-F", format, imported.get("small").disk, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", f"out.{format}", "small.img"]


def test_an_export_over_a_file_or_into_no_folder_is_refused(imported: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="exists already"):
        imported.export("small", tmp_path / "small.img", "raw", Silent())
    with pytest.raises(ImageError, match="no folder"):
        imported.export("small", tmp_path / "no" / "disk.raw", "raw", Silent())


def test_removing_leaves_nothing_but_the_lock(imported: ImageStore, tmp_path: Path) -> None:
    imported.remove("small")
    assert [path.name for path in (tmp_path / "cache/images").iterdir()] == [".small.lock"]
    with pytest.raises(ImageError, match="no image named"):
        imported.remove("small")


def test_a_build_seals_what_the_recipe_made_and_a_second_one_does_nothing(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(images.RECIPES, "debian-12", small_recipe)
    said: list[str] = []
    image = store.build("debian-12", Lines(said.append))
    assert (image.kernel, image.secure_boot, image.virtual_size) == ("6.1.0-test", "uefi-ca", 3 * MIB)
    assert sorted(path.name for path in image.folder.iterdir()) == ["disk.qcow2", "image.json", "stamp.json"]
    assert any("hashing and sealing" in line for line in said)
    said.clear()
    assert store.build("debian-12", Lines(said.append)) == image
    assert said == []


def test_a_recipe_that_fails_leaves_nothing_and_a_killed_build_is_cleaned_by_the_next(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, task: Task) -> Built:  # noqa: ARG001
        (folder / "half").write_bytes(b"x")
        raise OSError(28, "No space left on device", str(folder / "half"))

    monkeypatch.setitem(images.RECIPES, "debian-12", full)
    with pytest.raises(ImageError, match="No space left on device") as failed:
        store.build("debian-12", Silent())
    assert "PYTEST_HYPERV_CACHE" in failed.value.hint
    home = tmp_path / "cache/images/debian-12"
    assert not home.exists()

    (home / ".building-of-a-killed-run").mkdir(parents=True)
    monkeypatch.setitem(images.RECIPES, "debian-12", small_recipe)
    store.build("debian-12", Silent())
    assert not list(home.glob(".building-*"))


def test_two_builds_at_once_are_one_build_and_one_waiter(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    builds, began, go_on = [], threading.Event(), threading.Event()

    def slow(folder: Path, task: Task) -> Built:
        builds.append(folder)
        began.set()
        assert go_on.wait(30)
        return small_recipe(folder, task)

    monkeypatch.setitem(images.RECIPES, "debian-12", slow)

    class ReleasesTheFirst:
        said: list[str] = []  # noqa: RUF012

        @contextmanager
        def task(self, title: str, steps: int) -> Iterator[Task]:
            self.said.append(title)
            go_on.set()
            with Silent().task(title, steps) as task:
                yield task

    first = threading.Thread(target=store.build, args=("debian-12", Silent()))
    first.start()
    assert began.wait(30)
    waiter = ReleasesTheFirst()
    image = store.build("debian-12", waiter)
    first.join(30)
    assert len(builds) == 1
    assert waiter.said == ["Waiting for another run that makes the image debian-12"]
    assert image == store.get("debian-12")


def test_there_is_no_recipe_for_other_names(store: ImageStore) -> None:
    with pytest.raises(ImageError, match="no recipe") as unknown:
        store.build("windows-11", Silent())
    assert "images import windows-11" in unknown.value.hint


def alter(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a sealed file's bytes in place."""
    path.chmod(0o600)
    path.write_bytes(change(path.read_bytes()))


def test_an_image_for_hyperv_keeps_its_key_and_a_disk_hyper_v_takes(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(images.RECIPES, "debian-12-hyperv", recipe_with_a_key)
    image = store.build("debian-12-hyperv", Silent())
    assert (image.os_family, image.guest_road, image.credentials) == ("linux", "ssh", "key:root")
    assert (image.secure_boot, image.format) == ("uefi-ca", "vhdx")
    assert image.disk.read_bytes()[:8] == b"vhdxfile"
    assert image.ssh_key.read_text() == "private"
    assert image.ssh_key.stat().st_mode & 0o777 == 0o600
    assert store.verify("debian-12-hyperv") == image


def test_a_key_is_taken_in_with_the_disk_it_opens(store: ImageStore, tmp_path: Path) -> None:
    key = tmp_path / "id"
    key.write_text("private")
    disk, facts = raw_disk(tmp_path / "disk.img"), DiskFacts("linux", "ssh", "key:admin")
    image = store.import_disk("mine", disk, facts, Silent(), ssh_key=key)
    assert image.ssh_key.read_text() == "private"
    assert image.ssh_key.stat().st_mode & 0o777 == 0o600
    assert key.exists()
    with pytest.raises(ImageError, match="belong together"):
        store.import_disk("other", disk, facts, Silent())
    with pytest.raises(ImageError, match="belong together"):
        store.import_disk("other", disk, LINUX, Silent(), ssh_key=key)
    with pytest.raises(ImageError, match="must be a reference"):
        store.import_disk("other", disk, DiskFacts("linux", "ssh", "key:-oProxyCommand=x"), Silent(), ssh_key=key)
    assert store.names() == ["mine"]
