"""Where everything large is kept between runs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from pytest_hyperv.errors import SettingsError

VARIABLE = "PYTEST_HYPERV_CACHE"
FOLDER = "pytest-hyperv"
NAME_ONE = f"Name a folder you may write to, with the setting cache or with {VARIABLE}."
FOLDERS = ("images", "states", "machines")


def default_cache() -> Path | None:
    """Where the cache is when nobody says otherwise: ``PYTEST_HYPERV_CACHE``, else the user's cache folder.

    None for a user without a home folder. Nothing is made; see ``prepare_cache``.
    """
    named = os.environ.get(VARIABLE, "")
    if named:
        return Path(named).expanduser().absolute()
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / FOLDER / "Cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / FOLDER
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / FOLDER
    except RuntimeError:
        return None


def prepare_cache(root: Path | None) -> Path:
    """``root`` made absolute, and made if need be, with its sub-folders images, states and machines, private (0700).

    Raises SettingsError.
    """
    if root is None:
        raise SettingsError("This user has no home folder to keep a cache in.", hint=NAME_ONE)
    root = root.absolute()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (root, *(root / name for name in FOLDERS)):
            folder.mkdir(mode=0o700, exist_ok=True)
        if not os.access(root / "machines", os.W_OK):
            raise PermissionError(errno.EACCES, "nothing can be written below it")
    except OSError as error:
        raise SettingsError(
            f"The cache folder {root} cannot be used: {error.strerror or error}.",
            hint=NAME_ONE,
        ) from error
    return root
