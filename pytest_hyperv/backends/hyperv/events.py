"""What a host's event logs say of a machine's end. Ids as in openvmm's petri; messages name the machine's GUID."""

from __future__ import annotations

import datetime
import logging
from typing import Any
from uuid import UUID

from pytest_hyperv.backends.base import GuestCrash
from pytest_hyperv.backends.hyperv import cmdlets
from pytest_hyperv.backends.hyperv.host import HypervHost
from pytest_hyperv.errors import CmdletError

LOG = logging.getLogger(__name__)
WORKER, MANAGEMENT = "Microsoft-Windows-Hyper-V-Worker-Admin", "Microsoft-Windows-Hyper-V-VMMS-Admin"
CRASHES = {18590: "bugcheck", 18539: "reset", 18540: "reset", 18550: "reset", 18560: "reset", 14070: "hypervisor"}
"""The guest told of its crash; triple faults; the worker process died."""
NONE_FOUND = "NoMatchingEventsFound"


def crash_since(host: HypervHost, ident: UUID, since: object) -> GuestCrash | None:
    """How the machine's guest died after the host's time ``since``, or None.

    A log that cannot be read (an account in Hyper-V Administrators alone may not) is logged, and counts as silent.
    """
    if not isinstance(since, datetime.datetime):
        return None
    try:
        found = host.ask(cmdlets.events((WORKER, MANAGEMENT), tuple(CRASHES), since)).all
    except CmdletError as error:
        if not error.error_id.startswith(NONE_FOUND):
            LOG.warning("crashes of guests on %s cannot be seen: %s", host.name, error.message)
        return None
    told = [event for event in found if str(ident) in str(event.Message).lower()]
    return _crash(told[-1]) if told else None


def _crash(event: Any) -> GuestCrash:
    time = event.TimeCreated
    seconds = time.timestamp() if isinstance(time, datetime.datetime) else 0.0
    return GuestCrash(CRASHES[int(event.Id)], str(event.Message), seconds)
