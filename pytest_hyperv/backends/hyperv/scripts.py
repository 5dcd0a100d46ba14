"""The package's PowerShell texts: constants for hosts and guests. Every value reaches them as a parameter."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def text(name: str) -> str:
    """The script ``name``.ps1 of this package."""
    return resources.files(__package__).joinpath("scripts", f"{name}.ps1").read_text("utf-8")
