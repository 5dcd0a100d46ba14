"""Makes the pictures and the transcript of docs/gallery.md: ``python -m benchmarks.gallery``, some minutes with QEMU.

Runs a copy of examples/failing, whose tests fail on purpose, on real machines, and looks at its page in Chromium. With
``pngquant`` installed the pictures are a third of the size.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.page.browser import Browser, browser, missing

ROOT = Path(__file__).parents[1]
PAGE, FOLDER = ROOT / "docs" / "gallery.md", ROOT / "docs" / "gallery"
COLUMNS = 100
RUN = ("pytest", "--tb=short", "--hyperv-report=report.html")
TRANSCRIPT = re.compile(r"(?<=```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)


def main() -> None:
    """Run, look, write."""
    if why := missing():
        raise SystemExit(why)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "greeter"
        shutil.copytree(ROOT / "examples" / "failing", suite, ignore=shutil.ignore_patterns("__pycache__"))
        said = transcript(suite)
        text = PAGE.read_text("utf-8")
        PAGE.write_text(TRANSCRIPT.sub(lambda _: f"$ {' '.join(RUN)}\n{said}", text, count=1), "utf-8")
        with browser() as window:
            pictures(window, suite / "report.html")


def transcript(suite: Path) -> str:
    """What the terminal shows of a run, with a short traceback, and without where things lie on this machine."""
    environment = os.environ | {"COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *RUN, "-p", "no:cacheprovider", "--color=no"]
    run = subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True, timeout=1800)
    if run.returncode != 1:
        raise SystemExit(f"the run should have failed with status 1: {run.returncode}\n{run.stdout}\n{run.stderr}")
    cache = os.environ.get("PYTEST_HYPERV_CACHE", "")
    told = run.stdout.replace(f"{suite.parent}{os.sep}", "")
    if cache:
        told = told.replace(f"cache={cache} (environment PYTEST_HYPERV_CACHE), ", "").replace(
            cache, "~/.cache/pytest-hyperv"
        )
    if str(ROOT) in told or tempfile.gettempdir() + os.sep in told:
        raise SystemExit(f"a path of this machine would be shown:\n{told}")
    lines = [line for line in told.splitlines() if not line.startswith(("platform ", "plugins: "))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def pictures(window: Browser, page: Path) -> None:
    """The page on a desk in the light and the dark, a crash, the rest, and a phone."""
    window.prefer(color_scheme="light", reduced_motion="reduce")
    opened(window, page, 1100, 900)
    shoot(window, "first-glance")
    crash = (
        "Array.from(document.querySelectorAll('#failures .test')).find(each => each.innerText.includes('guest crash'))"
    )
    window.run(f"{crash}.open = true")
    window.until("document.querySelector('#failures mark')")
    window.screen(1100, 1250)
    window.run(f"{crash}.scrollIntoView()")
    shoot(window, "crash")
    window.prefer(color_scheme="dark", reduced_motion="reduce")
    opened(window, page, 1100, 1000)
    window.run("document.getElementById('timeline').scrollIntoView(); document.querySelector('.track').focus()")
    window.press("+", *["ArrowRight"] * 14)
    shoot(window, "time-dark")
    opened(window, page, 390, 844, phone=True)
    shoot(window, "phone-dark")
    window.prefer(color_scheme="light", reduced_motion="reduce")
    window.run(f"{crash}.open = true")
    window.until("document.querySelector('#failures mark')")
    window.run("document.querySelector('#failures mark').closest('div').scrollIntoView()")
    shoot(window, "phone")


def opened(window: Browser, page: Path, width: int, height: int, *, phone: bool = False) -> None:
    """Open the page anew on a screen of that size."""
    window.run("location.href = 'about:blank'")
    window.screen(width, height, phone=phone)
    window.open(page)
    window.until("performance.getEntriesByName('painted').length")


def shoot(window: Browser, name: str) -> None:
    """Keep what is on the screen, in few colours where that can be had."""
    picture = FOLDER / f"{name}.png"
    window.until("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    picture.write_bytes(window.picture())
    if pngquant := shutil.which("pngquant"):
        subprocess.run([pngquant, "--force", "--skip-if-larger", "--speed=1", "--ext=.png", "64", picture], timeout=60)


if __name__ == "__main__":
    main()
