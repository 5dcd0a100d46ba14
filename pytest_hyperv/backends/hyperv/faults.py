"""Which failures of Hyper-V pass by themselves and which never do, told by their numbers and ids, never by their words.

The lists are those of people who drove Hyper-V for years: OpenStack's os-win (vmutils.py, pathutils.py, jobutils.py),
Microsoft's openvmm (petri) and Multipass. Messages are localised, so the number at their end, an HRESULT or a WMI
return value, and the FullyQualifiedErrorId are what is looked at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import tenacity

from pytest_hyperv.errors import CmdletError

Result = TypeVar("Result")

TRANSIENT = {
    "0x80070020": "file in use",
    "0x80070091": "folder not empty yet",
    "32775": "machine changes state",
    "0x80041002": "job ended meanwhile",
}
"""Number at the end of a message, and the cause it stands for."""

PERMANENT = (
    "0xC03A0014",
    "0xC03A000E",
    "0xC03A001A",
    "0x80070005",
    "0x8007000E",
    "0x800705AA",
    "0xC0370029",
    "0x80070070",
)
"""Broken or mismatched parent chain, unusable file, no access, no memory (two numbers), old saved state, full disk."""

LONGEST = 20.0
"""Seconds: locks outlive the deletion of a machine by up to 15."""

_NUMBER = re.compile(r"0x[0-9A-Fa-f]{8}|\b32775\b")
HINTS = {
    "0x80070020": "if it lasts, a backup, a virus scanner or a mounted disk holds the file.",
    "0x80070005": "the account or the machine's worker has no rights on the file: let SYSTEM have full control there.",
    "0x8007000E": "the host is out of memory: run fewer machines at once, or give them less.",
    "0x800705AA": "the host is out of memory: run fewer machines at once, or give them less.",
    "0xC03A001A": "the disk file must not be sparse, compressed or encrypted: compact /u FILE, cipher /d FILE, or copy "
    "it to an ordinary folder.",
    "0xC03A0014": "a parent of the disk is gone: import the image again.",
    "0xC03A000E": "a parent of the disk has changed: import the image again; never start a machine on a golden disk.",
    "0xC0370029": "it was saved by another version of Hyper-V: remove the state, it is built again.",
    "0x80070070": "the disk of the host is full: free some space on it.",
}


def numbers_of(error: CmdletError) -> list[str]:
    """The HRESULTs and return values a message carries, as the tables write them."""
    return [_as_written(found) for found in _NUMBER.findall(error.message)]


def cause_of(error: CmdletError) -> str:
    """Why a failure is expected to pass by itself; "" when it is not."""
    found = numbers_of(error)
    if any(number in PERMANENT for number in found):
        return ""
    return next((TRANSIENT[number] for number in found if number in TRANSIENT), "")


def hint_of(error: CmdletError) -> str:
    """What a user can do about a failure; "" when its number says nothing."""
    return next((HINTS[number] for number in numbers_of(error) if number in HINTS), "")


class Patience:
    """Repeats what failed for a passing reason, ``longest`` seconds at most, and counts the repetitions by cause."""

    def __init__(self, longest: float = LONGEST) -> None:
        self._longest = longest
        self.counts: Counter[str] = Counter()

    def repeat(
        self,
        work: Callable[[], Result],
        *,
        achieved: Callable[[], Result | None] = lambda: None,
        passing: Callable[[CmdletError], str] = cause_of,
        longest: float | None = None,
    ) -> Result:
        """The result of ``work``, tried again while it fails for a passing reason; ``longest`` is for this once.

        Before each repetition ``achieved`` looks whether the failed attempt did its work after all: what it returns,
        unless None, is the result. Raises the last CmdletError, with a hint when its number has one.
        """

        def transient(error: BaseException) -> bool:
            cause = passing(error) if isinstance(error, CmdletError) else ""
            self.counts.update([cause] if cause else [])
            return bool(cause)

        first = True

        def attempt() -> Result:
            nonlocal first
            if not first and (done := achieved()) is not None:
                return done
            first = False
            return work()

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(transient),
            stop=tenacity.stop_after_delay(self._longest if longest is None else longest),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=4.0),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except CmdletError as error:
            error.hint = hint_of(error) or error.hint
            raise


def _as_written(number: str) -> str:
    return "0x" + number[2:].upper() if number.startswith("0x") else number
