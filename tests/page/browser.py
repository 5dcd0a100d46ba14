"""Chromium without a screen, driven through chromedriver (WebDriver, W3C) and the DevTools protocol behind it."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--proxy-server=127.0.0.1:9",  # nothing listens there: whatever wanted to go out would fail
)
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": " ", "ArrowRight": "\ue014", "ArrowDown": "\ue015"}
WAIT = 30.0
"""Seconds that the browser may take for anything."""


def missing() -> str:
    """Why no browser can be driven here, "" when one can."""
    if not shutil.which("chromedriver"):
        return "there is no chromedriver (Debian package chromium-driver)"
    return "" if any(map(shutil.which, BROWSERS)) else "there is no Chromium (Debian package chromium)"


class Browser:
    """One window."""

    def __init__(self, server: str, profile: Path) -> None:
        program = next(path for path in map(shutil.which, BROWSERS) if path)
        options = {"binary": program, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        with requests.Session() as session:
            session.trust_env = False
            self._session = session
        answer = self._call("POST", f"{server}/session", {"capabilities": {"alwaysMatch": wanted}})
        self._url = f"{server}/session/{answer['sessionId']}"

    def open(self, page: Path, fragment: str = "") -> None:
        """Show a file."""
        self._command("url", {"url": f"{page.as_uri()}{fragment}"})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a JavaScript function's body; past the page's policy, as a developer's console is."""
        return self._command("execute/sync", {"script": script, "args": list(arguments)})

    def until(self, condition: str) -> None:
        """Wait until an expression is true. Raises AssertionError."""
        script = """
            const [condition, done] = arguments, ends = performance.now() + 10000;
            const holds = new Function("return " + condition);
            (function look() {
              if (holds()) done(true); else if (performance.now() > ends) done(false); else setTimeout(look, 20);
            })();
        """
        assert self._command("execute/async", {"script": script, "args": [condition]}), condition

    def press(self, *keys: str) -> None:
        """Press keys one after the other; of ones not in KEYS, type the letters."""
        for key in keys:
            letters = [KEYS[key]] if key in KEYS else list(key)
            actions = [{"type": kind, "value": each} for each in letters for kind in ("keyDown", "keyUp")]
            self._command("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def screen(self, width: int, height: int, *, phone: bool = False) -> None:
        """Have a screen of that size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.devtools("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, **features: str) -> None:
        """What the user prefers: ``color_scheme="dark"``, ``reduced_motion="reduce"``."""
        told = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.devtools("Emulation.setEmulatedMedia", {"features": told})

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What was logged since the last call: ``browser``, the console, or ``performance``, DevTools' events."""
        found = self._command("se/log", {"type": kind})
        assert isinstance(found, list)
        return found

    def picture(self) -> bytes:
        """What is on the screen, as a PNG file."""
        return base64.b64decode(self.devtools("Page.captureScreenshot", {"format": "png"})["data"])

    def devtools(self, command: str, arguments: Mapping[str, Any]) -> Any:
        """Call a command of the DevTools protocol."""
        return self._command("goog/cdp/execute", {"cmd": command, "params": dict(arguments)})

    def close(self) -> None:
        """End the browser."""
        with suppress(requests.RequestException, AssertionError):
            self._call("DELETE", self._url, None)

    def _command(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("POST", f"{self._url}/{path}", body)

    def _call(self, method: str, url: str, body: Mapping[str, Any] | None) -> Any:
        answer = self._session.request(method, url, json=body, timeout=WAIT).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer.get("message")
        return answer


@contextmanager
def browser() -> Generator[Browser]:
    """A browser with an empty profile, which is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True) as folder:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TMPDIR": folder},  # it leaves folders there
        )
        try:
            assert driver.stdout is not None
            lines = iter(driver.stdout.readline, "")
            port = next(found[1] for line in lines if (found := re.search(r"started successfully on port (\d+)", line)))
            opened = Browser(f"http://127.0.0.1:{port}", Path(folder) / "profile")
            try:
                yield opened
            finally:
                opened.close()
        finally:
            driver.terminate()
            driver.wait(WAIT)
            if driver.stdout is not None:
                driver.stdout.close()
