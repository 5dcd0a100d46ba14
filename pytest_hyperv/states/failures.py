"""States whose recipe failed: the cause, told to all that need the state in this run, and the evidence that is kept."""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from pytest_hyperv.errors import HypervError, StateError
from pytest_hyperv.redaction import redactor_of_run
from pytest_hyperv.states.declared import State
from pytest_hyperv.states.recipe_machine import RecipeMachine

NOTE = "failure.json"
KEPT = 20
"""How many failed states' evidence is kept, the newest ones."""
CONSOLE = 256 * 1024
"""How many characters of the serial console are kept, the last ones."""
PACKAGE = Path(__file__).parents[1]


class Failures:
    """The failed states of one cache. ``run`` is the name of this run, the same in all of its workers."""

    def __init__(self, root: Path, run: str) -> None:
        self._root, self._run = root, run
        self._known: dict[str, str] = {}

    def fail_again(self, key: str, state: State) -> None:
        """Raise what a state's recipe failed of in this run, here or in another worker; nothing when it did not."""
        message = self._known.get(key) or self._noted(key)
        if message:
            raise self._error(key, state, message)

    def forget(self, key: str) -> None:
        """The state is there after all."""
        self._known.pop(key, None)
        shutil.rmtree(self._root / key, ignore_errors=True)

    def keep(self, key: str, state: State, cause: BaseException, vm: RecipeMachine) -> StateError:
        """Note a failure for all workers of this run, with what can be seen of the machine; returns the error."""
        message = (
            f"the recipe of state {state.name} failed: {type(cause).__name__}: {getattr(cause, 'message', cause)}\n"
            f"{_where(cause)}".rstrip()
        )
        self._known[key] = message
        try:
            self._write(key, message, cause, vm)
        except OSError as error:
            self._known[key] = message = f"{message}\nNo evidence could be kept: {error.strerror or error}"
        return self._error(key, state, message)

    def _error(self, key: str, state: State, message: str) -> StateError:
        return StateError(
            f"{message}\n{state.file}::{state.name} is not run again in this run.",
            hint=f"see what it did in {self._root / key}.",
            state=key,
        )

    def _noted(self, key: str) -> str:
        try:
            note = json.loads((self._root / key / NOTE).read_text("utf-8"))
            return str(note["message"]) if note["run"] == self._run else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _write(self, key: str, message: str, cause: BaseException, vm: RecipeMachine) -> None:
        folder = self._root / key
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        said = "".join(traceback.format_exception(cause))
        known = redactor_of_run(vm.transcript.secrets)
        (folder / "failure.txt").write_text(known.text(f"{message}\n\n{said}"), "utf-8", "replace")
        (folder / "commands.txt").write_text(vm.transcript.whole(known), "utf-8", "replace")
        _seen(folder / "console.txt", lambda: known.text(vm.console_text()[-CONSOLE:]).encode("utf-8", "replace"))
        _seen(folder / "screen.png", vm.screenshot)
        note = {"run": self._run, "message": message, "when": time.time()}
        (folder / NOTE).write_text(json.dumps(note), "utf-8")
        for old in sorted(self._root.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)


def _seen(target: Path, look: Callable[[], bytes]) -> None:
    """Keep what can be seen; a machine that is off or dead shows less, which is said in its place."""
    try:
        target.write_bytes(look())
    except HypervError as error:
        target.with_suffix(".missing.txt").write_text(f"{error}\n", "utf-8")


def _where(cause: BaseException) -> str:
    """The way through the recipe, from its first line to the last one that is not this package's own."""
    frames = [
        frame for frame in traceback.extract_tb(cause.__traceback__) if PACKAGE not in Path(frame.filename).parents
    ]
    return "".join(traceback.format_list(frames)).rstrip()
