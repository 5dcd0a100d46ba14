"""What the host's files and folders hold that a recipe takes into its machine."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_hyperv.errors import StateError


def input_digests(state: str, inputs: Sequence[str], root: Path) -> dict[str, str]:
    """A digest of each input by its name, relative ones below ``root``.

    Of a file its bytes count and whether it may be executed, of a folder all that is in it with its names, of a link
    in it where it points to. Times and owners do not. Raises StateError naming the state and the input.
    """
    told = {}
    for name in inputs:
        path = root / name
        digest = hashlib.sha256()
        try:
            for line in _lines(path.resolve(strict=True)):
                digest.update(line.encode("utf-8", "surrogateescape") + b"\0")
        except OSError as error:
            raise StateError(
                f"the input {name} of state {state} cannot be read: {error.strerror or error} ({path})",
                hint="build it before the tests run, or correct inputs=; its paths are relative to pytest's rootdir.",
                state=state,
            ) from error
        told[name] = digest.hexdigest()
    return told


def _lines(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield _told(path)
        return
    for folder, folders, files in os.walk(path, onerror=_raise):
        folders.sort()
        here = Path(folder)
        yield f"folder {here.relative_to(path)}"
        linked = [name for name in folders if (here / name).is_symlink()]
        yield from (f"{here.relative_to(path) / name} {_told(here / name)}" for name in sorted([*files, *linked]))


def _told(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link {os.readlink(path)}"  # noqa: PTH115 - the text as it stands in the link
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is neither file, folder nor link")
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{'program' if mode & stat.S_IXUSR else 'file'} {content}"


def _raise(error: OSError) -> None:
    raise error
