"""Who is in a machine that another process made: a mark each in its folder, which counts while its process lives."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from pytest_hyperv.identity import ProcessIdentity

MARK = "visitor-"


def enter(folder: Path) -> Path:
    """Have this process among the visitors; removing the mark that is returned ends the visit."""
    mark = folder / f"{MARK}{os.getpid()}"
    new = folder / f".{mark.name}.new"
    new.write_text(json.dumps(asdict(ProcessIdentity.own())), "utf-8")
    new.replace(mark)
    return mark


def visitors(folder: Path) -> list[int]:
    """The numbers of the living processes that are in the machine of that folder."""
    found = (_identity(mark) for mark in folder.glob(f"{MARK}*"))
    return sorted(one.pid for one in found if one is not None and one.alive())


def _identity(mark: Path) -> ProcessIdentity | None:
    try:
        return ProcessIdentity(**json.loads(mark.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
