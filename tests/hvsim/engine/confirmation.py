"""Commands that ask before they act. A session without a person at it cannot answer, so they fail instead."""

from __future__ import annotations

from tests.hvsim.binder import Bound
from tests.hvsim.contract import CommandContract
from tests.hvsim.engine.errors import needs_answer

ASKING = frozenset(
    {"Debug-VM", "Remove-VM", "Remove-VMSnapshot", "Remove-VMSwitch", "Restart-VM", "Restore-VMSnapshot"}
)
"""Cmdlets of the Hyper-V module whose confirmation is on by default."""


def settle(command: CommandContract, bound: Bound) -> bool:
    """Whether the command shall act; False for -WhatIf. Raises ShellError when it would have to ask."""
    if bound.values.get("WhatIf"):
        return False
    confirm = bound.values.get("Confirm")
    if confirm or (command.name in ASKING and confirm is None and not bound.values.get("Force")):
        raise needs_answer(command)
    return True
