"""How long the page of a large run takes to open in Chromium: ``python -m benchmarks.page``.

Each opening is a new browser with an empty profile. Measured from the beginning of the navigation, on the page's clock:
until its program has run, the rows can be used, and that has been painted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from pytest_hyperv.report_page.rendering import render, write
from tests.page.browser import browser, missing
from tests.page.made_up import made_up

TARGET = 2.0
PAINTED = "performance.getEntriesByName('painted')"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tests", type=int, nargs="+", default=[200, 2000, 10_000])
    told = parser.parse_args()
    if why := missing():
        raise SystemExit(why)
    print("| tests | failed | size of the page | usable after | worst | target |")
    print("| --- | --- | --- | --- | --- | --- |")
    for tests in told.tests:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "report.html"
            write(page, render([made_up(tests, failed=tests // 20, workers=4)]))
            size = page.stat().st_size / 1e6
            taken = [opened(page) for _ in range(told.rounds)]
        verdict = ("met" if statistics.median(taken) < TARGET else "missed") if tests == 2000 else ""
        row = f"{tests:,} | {tests // 20} | {size:.1f} MB | {statistics.median(taken):.2f} s | {max(taken):.2f} s"
        print(f"| {row} | {f'at most {TARGET:.0f} s: {verdict}' if verdict else ''} |")


def opened(page: Path) -> float:
    """Seconds until a page, in a new browser, can be used and is painted."""
    with browser() as window:
        window.screen(1200, 900)
        window.open(page)
        window.until(f"{PAINTED}.length")
        return float(window.run(f"return {PAINTED}[0].startTime / 1000"))


if __name__ == "__main__":
    main()
