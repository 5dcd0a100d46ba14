"""Cmdlets that write to a stream."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hvsim.engine.invocation import Invocation
from tests.hvsim.host.failures import HostFailure
from tests.hvsim.values import net_text


def write_output(inv: Invocation) -> Iterator[object]:
    """Each object; a list element by element."""
    for value in inv.value("InputObject") or [None]:
        if isinstance(value, list) and not inv.value("NoEnumerate"):
            yield from value
        else:
            yield value


def write_warning(inv: Invocation) -> Iterator[object]:
    """A warning."""
    inv.warn(net_text(inv.value("Message")))
    return iter(())


def write_verbose(inv: Invocation) -> Iterator[object]:
    """A verbose record, which is seen with -Verbose only."""
    inv.streams.verbose(net_text(inv.value("Message")))
    return iter(())


def write_error(inv: Invocation) -> Iterator[object]:
    """A non-terminating error with the id and category asked for."""
    failure = HostFailure(
        net_text(inv.value("Message")),
        error_id=str(inv.value("ErrorId") or "Microsoft.PowerShell.Commands.WriteErrorException"),
        category=str(inv.value("Category") or "NotSpecified"),
        target=net_text(inv.value("TargetObject")),
    )
    inv.error(failure)
    return iter(())
