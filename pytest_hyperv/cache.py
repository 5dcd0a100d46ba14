"""Where everything large is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

from pytest_hyperv.errors import SettingsError

VARIABLE = "PYTEST_HYPERV_CACHE"
FOLDERS = ("images", "states", "machines")


def default_cache() -> Path:
    """The cache folder, made if need be, with its sub-folders ``images``, ``states`` and ``machines``, all private (0700).

    ``PYTEST_HYPERV_CACHE`` names it, else it is the user's cache folder of the platform. Raises SettingsError when it
    cannot be used.
    """
    named = os.environ.get(VARIABLE, "")
    return prepare_cache(Path(named).expanduser() if named else user_cache_path("pytest-hyperv"))


def prepare_cache(root: Path) -> Path:
    """Make ``root`` and its sub-folders and return it as an absolute path. Raises SettingsError."""
    root = root.absolute()
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (root, *(root / name for name in FOLDERS)):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The cache folder {root} cannot be used: {error.strerror or error}.",
            hint=f"Set {VARIABLE} to a folder you may write to.",
        ) from error
    return root
