"""The catalogue of golden images: sealed disks, known by name, verified before a machine is made of them.

One version of an image is one folder, ``NAME/VERSION/``, with ``disk.qcow2`` (or ``disk.vhdx``) and ``image.json``,
and the private key for its guests when SSH leads into them.
"""

from __future__ import annotations

import difflib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_hyperv.errors import ImageError
from pytest_hyperv.image_files import DiskFile, check, convert, digest_of, examine, round_up
from pytest_hyperv.image_home import CURRENT, ImageHome, told_as_image_errors, write_whole
from pytest_hyperv.progress import Progress, Task
from pytest_hyperv.recipes import debian
from pytest_hyperv.spec import SSH_KEY, BootTemplate, DiskFormat, GuestRoad, Image, OsFamily

RECIPES = {debian.NAME: debian.build, debian.FOR_HYPERV: debian.build_for_hyperv}
"""Images this package can build by itself."""

FACTS, STAMP = "image.json", "stamp.json"
HYPERV_ROADS = ("psdirect", "winrm", "ssh")
NAME_FORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
CREDENTIALS_FORM = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|keyring:[^/\s]+/\S+|key:[A-Za-z0-9_][A-Za-z0-9_.@-]*)?")


@dataclass(frozen=True)
class DiskFacts:
    """What a disk file cannot tell of itself. The fields are those of ``spec.Image``."""

    os_family: OsFamily
    guest_road: GuestRoad
    credentials: str = ""
    secure_boot: BootTemplate = "off"
    powershell: bool = False
    kernel: str = ""


class ImageStore:
    """The images below one folder. Every method raises ImageError; none leaves a half-made image behind."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """The names of all images there are, sorted."""
        if not self._root.is_dir():
            return []
        return sorted(folder.name for folder in self._root.iterdir() if (folder / CURRENT).is_file())

    def all(self) -> list[Image]:
        """Every image as its facts have it, the disks not looked at."""
        return [self._facts(name) for name in self.names()]

    def get(self, name: str) -> Image:
        """The image, its disk known to be whole.

        Cheap when size, time and inode of the disk are those of the last look; any difference has the disk hashed.
        """
        image = self._facts(name)
        with told_as_image_errors(name):
            seen = _look_at(image.disk) if image.disk.is_file() else None
            if seen is None:
                raise self._damaged(name, f"the disk file {image.disk} is gone")
            if seen != _stamp_of(image):
                self._rehash(image)
        return image

    def verify(self, name: str) -> Image:
        """The image after its whole disk was hashed and its tables checked."""
        image = self._facts(name)
        if not image.disk.is_file():
            raise self._damaged(name, f"the disk file {image.disk} is gone")
        with told_as_image_errors(name):
            self._rehash(image)
        if image.format == "qcow2":
            check(image.disk, image=name)
        return image

    def build(self, name: str, progress: Progress, *, rebuild: bool = False) -> Image:
        """Build an image of this package by its recipe. One that is there already is returned as it is."""
        recipe = RECIPES.get(name)
        if recipe is None:
            raise ImageError(
                f"There is no recipe for an image named {name!r}.",
                hint=f"There are: {', '.join(RECIPES)}. For another disk: pytest-hyperv images import {name} DISK",
                image=name,
            )

        def make(folder: Path) -> Image:
            with progress.task(f"Building the golden image {name}", steps=6) as task:
                built = recipe(folder, task)
                task.step("converting the disk")
                format = _format_for(built.guest_road)
                kept = DiskFile(folder / f"disk.{format}", format, built.virtual_size)
                convert(DiskFile(built.disk, "raw", built.virtual_size), kept.path, format, image=name)
                built.disk.unlink()
                facts = DiskFacts("linux", built.guest_road, built.credentials, "uefi-ca", kernel=built.kernel)
                return self._seal(name, folder, facts, kept, task)

        return self._make(name, progress, make, replace=rebuild, there=self.get)

    def import_disk(
        self,
        name: str,
        source: Path,
        facts: DiskFacts,
        progress: Progress,
        *,
        ssh_key: Path | None = None,
        replace: bool = False,
    ) -> Image:
        """Take a disk (qcow2, VHDX or raw, told by its content) into the store as a file of its own.

        ``ssh_key`` is the file with the private key of ``facts.credentials`` "key:USER", which is copied too.
        It is a VHDX for guests that only Hyper-V's roads reach, and a qcow2 file for all others.
        """
        _require_name(name)
        if not CREDENTIALS_FORM.fullmatch(facts.credentials):
            raise ImageError(
                f"The credentials of image {name} must be a reference, not a secret.",
                hint="Write env:NAME for an environment variable, keyring:SERVICE/USER, or key:USER.",
                image=name,
            )
        if (ssh_key is not None) != facts.credentials.startswith("key:"):
            raise ImageError(
                f"Credentials key:USER and the file with that key belong together (image {name}).",
                hint="Write --road ssh --credentials key:USER --ssh-key FILE.",
                image=name,
            )
        disk = examine(source, image=name)
        format = _format_for(facts.guest_road)

        def make(folder: Path) -> Image:
            with progress.task(f"Importing {source.name} as image {name}", steps=2) as task:
                task.step(f"taking in the {disk.format} disk")
                kept = DiskFile(folder / f"disk.{format}", format, round_up(disk.virtual_size))
                convert(disk, kept.path, format, image=name)
                if ssh_key is not None:
                    shutil.copyfile(ssh_key, folder / SSH_KEY)
                return self._seal(name, folder, facts, kept, task)

        return self._make(name, progress, make, replace=replace, there=_already_there)

    def export(self, name: str, target: Path, format: DiskFormat, progress: Progress) -> Path:
        """Write the image's disk to the new file ``target``, whole or not at all. A VHDX is a dynamic one."""
        image = self.get(name)
        target = target.absolute()
        if target.exists():
            raise ImageError(f"{target} exists already.", hint="Remove it, or choose another name.", image=name)
        if not target.parent.is_dir():
            raise ImageError(f"There is no folder {target.parent}.", hint="Make it first.", image=name)
        partial = target.with_name(f".{target.name}.part")
        with told_as_image_errors(name), progress.task(f"Exporting {name} to {target.name}", steps=1) as task:
            task.step(f"converting to {format}")
            try:
                convert(DiskFile(image.disk, image.format, image.virtual_size), partial, format, image=name)
                partial.chmod(0o600)
                partial.rename(target)
            finally:
                partial.unlink(missing_ok=True)
        return target

    def remove(self, name: str) -> None:
        """Remove an image, all its versions, and what builds that were killed left of it."""
        _require_name(name)
        home = ImageHome(self._root, name)
        if not home.folder.is_dir():
            raise self._unknown(name)
        with home.locked(progress=None):
            home.destroy()

    def _facts(self, name: str) -> Image:
        _require_name(name)
        folder = ImageHome(self._root, name).version()
        if folder is None:
            raise self._unknown(name)
        try:
            facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
            return Image(**{**facts, "folder": folder})
        except (OSError, ValueError, TypeError) as error:
            raise self._damaged(name, f"its facts cannot be read ({error})") from error

    def _rehash(self, image: Image) -> None:
        seen = _look_at(image.disk)
        found = digest_of(image.disk)
        if found != image.digest:
            raise self._damaged(image.name, f"{image.disk} was altered or cut short: it is {found}, not {image.digest}")
        write_whole(image.folder / STAMP, json.dumps(seen))

    def _make(
        self,
        name: str,
        progress: Progress,
        make: Callable[[Path], Image],
        *,
        replace: bool,
        there: Callable[[str], Image],
    ) -> Image:
        """Run ``make`` in a building folder and publish what it sealed there, unless another run was faster."""
        _require_name(name)
        home = ImageHome(self._root, name)
        with home.locked(progress):
            if not replace and name in self.names():
                return there(name)
            with home.building() as folder:
                made = make(folder)
                home.publish(folder, made.digest.removeprefix("sha256:")[:16])
                return self._facts(name)

    def _seal(self, name: str, folder: Path, facts: DiskFacts, disk: DiskFile, task: Task) -> Image:
        """Hash the disk in ``folder``, write its facts beside it and drop everything a finished image does not hold."""
        task.step("hashing and sealing")
        digest = digest_of(disk.path)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        image = Image(name, folder, digest, disk.virtual_size, created=created, format=disk.format, **asdict(facts))
        kept = {disk.path.name: 0o400, "kbuild.tar": 0o400, SSH_KEY: 0o600}
        for path in folder.iterdir():
            if path.name in kept:
                path.chmod(kept[path.name])
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        written = {key: value for key, value in asdict(image).items() if key != "folder"}
        write_whole(folder / FACTS, json.dumps(written, indent=1) + "\n", mode=0o400)
        write_whole(folder / STAMP, json.dumps(_look_at(disk.path)))
        return image

    def _unknown(self, name: str) -> ImageError:
        if name in RECIPES:
            return ImageError(
                f"The image {name} has not been built on this machine yet.",
                hint=f"Run: pytest-hyperv images build {name}",
                image=name,
            )
        known = [*self.names(), *(recipe for recipe in RECIPES if recipe not in self.names())]
        close = difflib.get_close_matches(name, known, n=1)
        meant = f"Did you mean {close[0]}? " if close else f"There are: {', '.join(known)}. "
        return ImageError(
            f"There is no image named {name!r}.",
            hint=f"{meant}Take a disk in with: pytest-hyperv images import {name} DISK",
            image=name,
        )

    def _damaged(self, name: str, what: str) -> ImageError:
        again = f"build {name} --rebuild" if name in RECIPES else f"import {name} DISK --replace"
        return ImageError(
            f"The image {name} is damaged: {what}.", hint=f"Make it again: pytest-hyperv images {again}", image=name
        )


def _format_for(road: GuestRoad) -> DiskFormat:
    return "vhdx" if road in HYPERV_ROADS else "qcow2"


def _require_name(name: str) -> None:
    if not NAME_FORM.fullmatch(name):
        raise ImageError(
            f"{name!r} cannot be the name of an image.",
            hint="Use up to 63 small letters, digits, dots, dashes and underscores, beginning with a letter or digit.",
            image=name,
        )


def _already_there(name: str) -> Image:
    raise ImageError(
        f"An image named {name} exists already.",
        hint=f"Replace it with: pytest-hyperv images import {name} DISK --replace",
        image=name,
    )


def _look_at(disk: Path) -> list[int]:
    """Size in bytes, time of change in nanoseconds, inode."""
    seen = disk.stat()
    return [seen.st_size, seen.st_mtime_ns, seen.st_ino]


def _stamp_of(image: Image) -> object:
    stamp = image.folder / STAMP
    try:
        return json.loads(stamp.read_text()) if stamp.is_file() else None
    except ValueError:
        return None
