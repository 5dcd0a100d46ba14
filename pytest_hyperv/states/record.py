"""What is written down in the folder of a saved state, and how such a folder comes and goes beside other runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_hyperv.errors import HypervError
from pytest_hyperv.states.users import Users

BUILDING, REMOVED = ".building-", ".removed-"
FACTS, USED = "state.json", "used"


@dataclass(frozen=True)
class StateRecord:
    """``build`` is another one each time the state is built, for its disk is then another one, below the same key.

    ``parent`` and ``parent_build`` say what it stands on, "" for a booted image. ``recipe`` is "file::name", "" for a
    booted image; ``host`` the hypervisor's address; ``created`` seconds since 1970, ``took`` seconds.
    """

    key: str
    name: str
    recipe: str
    image: str
    machine: str
    backend: str
    host: str
    parent: str
    parent_build: str
    build: str
    created: float
    took: float

    def write(self, folder: Path) -> None:
        """Write it down, in a folder that is not in use yet."""
        (folder / FACTS).write_text(json.dumps(asdict(self), indent=1), "utf-8")
        (folder / USED).touch()


def read_record(folder: Path) -> StateRecord | None:
    """The record in ``folder``, None when there is none that can be read."""
    try:
        return StateRecord(**json.loads((folder / FACTS).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def whole(folder: Path) -> bool:
    """Whether a state is there, and on the very states that it was built on."""
    record = read_record(folder)
    if record is None or not record.parent:
        return record is not None
    parent = folder.parent / record.parent
    below = read_record(parent)
    return below is not None and below.build == record.parent_build and whole(parent)


def lock_of(root: Path, key: str) -> FileLock:
    """The lock of whoever builds, removes or begins to use the state of that key."""
    return FileLock(root / f".{key}.lock", mode=0o600)


def note_use(folder: Path) -> None:
    """Say that a state is used now, for whoever looks for the ones nobody uses."""
    with contextlib.suppress(OSError):  # a cache that is read-only still serves
        os.utime(folder / USED)


def last_use(folder: Path) -> float:
    """When a machine was last made from a state, in seconds since 1970."""
    marks = [path.stat().st_mtime for path in (folder / USED, folder) if path.exists()]
    return marks[0] if marks else 0.0


@dataclass
class Swept:
    """What a sweep removed, and in words what it could not."""

    removed: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def sweep(root: Path, forget: Callable[[Path], None] = lambda _: None) -> Swept:
    """Remove what builders and removals that were killed left below ``root``, beside runs that are at work.

    ``forget`` removes what a state that was half built has outside of its folder, and raises HypervError when it
    cannot; the folder stays then.
    """
    swept = Swept()
    for left in [*root.glob(f"{BUILDING}*"), *root.glob(f"{REMOVED}*")]:
        key = left.name.removeprefix(BUILDING).removeprefix(REMOVED)
        try:
            with lock_of(root, key).acquire(timeout=0):
                if left.name.startswith(BUILDING):
                    forget(left)
                shutil.rmtree(left, ignore_errors=True)
                swept.removed.append(left)
        except Timeout:
            continue
        except HypervError as error:
            swept.failures.append(f"a state that was half built ({left.name}): {error.message}")
    if root.is_dir():
        Users(root).sweep()
    return swept


def take_away(folder: Path) -> None:
    """Remove the folder of a state, out of sight at once. Its lock is held."""
    away = folder.with_name(f"{REMOVED}{folder.name}")
    shutil.rmtree(away, ignore_errors=True)
    folder.rename(away)
    shutil.rmtree(away)
