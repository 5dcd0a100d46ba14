"""The first glance: how the run ended, in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_hyperv.report_page.entries import count

KINDS = {
    "crash": ("guest crash", "guest crashes"),
    "timeout": ("time-out", "time-outs"),
    "infrastructure": ("infrastructure fault", "infrastructure faults"),
    "assertion": ("assertion", "assertions"),
    "exception": ("exception", "exceptions"),
    "collection": ("collection error", "collection errors"),
    "worker": ("lost worker", "lost workers"),
}
"""What failures are called, one and several."""


def headline(tests: Sequence[Mapping[str, Any]], *, interrupted: bool) -> tuple[str, str]:
    """What is said first, and what of next to it: "3 of 212 tests failed", "1 guest crash, 2 assertions"."""
    counted = count(tests)
    total, bad, skipped = counted["all"], counted["bad"], counted.get("skipped", 0)
    if bad:
        said = f"{bad} of {_tests(total)} failed"
    elif not total:
        said = "No test ran"
    elif skipped == total:
        said = f"All {_tests(total)} skipped" if total > 1 else "The only test was skipped"
    else:
        ran = total - skipped - counted.get("unfinished", 0)
        said = f"All {_tests(ran)} passed" if ran != 1 else "1 test passed"
    more = [_named(*each) for each in Counter(_bad_kinds(tests)).most_common()]
    more += [f"{counted[name]} {name}" for name in ("skipped", "xfailed", "unfinished") if counted.get(name)]
    if interrupted:
        more.insert(0, "the run was interrupted")
    return said, ", ".join(more)


def _bad_kinds(tests: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (test["kind"] for test in tests if test["outcome"] in ("failed", "error"))


def _named(kind: str, number: int) -> str:
    one, several = KINDS.get(kind, KINDS["exception"])
    return f"{number} {one if number == 1 else several}"


def _tests(number: int) -> str:
    return f"{number:,} test{'s' if number != 1 else ''}"
