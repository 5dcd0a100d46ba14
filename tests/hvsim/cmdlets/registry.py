"""All cmdlets of the Hyper-V module that the simulated host has, by name."""

from __future__ import annotations

from tests.hvsim.engine.invocation import Cmdlet

CMDLETS: dict[str, Cmdlet] = {}
"""The cmdlets by their names in lower case (`str.casefold`)."""
