"""Where everything large is kept between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pytest_hyperv.errors import SettingsError

VARIABLE = "PYTEST_HYPERV_CACHE"
FOLDER = "pytest-hyperv"
FOLDERS = ("images", "states", "machines")


def default_cache() -> Path:
    """Where the cache is when nobody says otherwise: ``PYTEST_HYPERV_CACHE``, else the user's cache folder.

    Nothing is made; see ``prepare_cache``.
    """
    named = os.environ.get(VARIABLE, "")
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / FOLDER / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / FOLDER
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / FOLDER


def prepare_cache(root: Path) -> Path:
    """``root`` made absolute, and made if need be, with its sub-folders images, states and machines, private (0700).

    Raises SettingsError.
    """
    root = root.absolute()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (root, *(root / name for name in FOLDERS)):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The cache folder {root} cannot be used: {error.strerror or error}.",
            hint=f"Name a folder you may write to, with --hyperv-cache or {VARIABLE}.",
        ) from error
    return root
