"""The shell script that runs a program behind an SSH connection, and how it tells us of it on standard error.

A server without a terminal leaves what it started alone when the connection ends, and ``ssh`` returns 255 both for its
own failures and for a program that does. So the program gets a session of its own, which is ended with the connection,
and the script says when it began and how it ended, in lines under a mark nobody else knows: what comes before the first
one is the client's own.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence

from pytest_hyperv.errors import CommandFailed
from pytest_hyperv.posix_guest import KILL_TREE

LONGEST = 30_000 if os.name == "nt" else 120_000
"""Bytes of a command: Windows takes lines of 32,767 characters; Linux, 128 KiB as one argument of the guest's shell."""

SEPARATOR = "\x1e"
BEGINS, RUNS, ENDED, REFUSED = "begins", "runs", "ended", "refused"

SCRIPT = """
mark=$1 folder=$2 search=${3:-$PATH} program=$4 killer=$5; shift 5
exec 3<&0 4>&2 2>/dev/null
say() { printf '\\036%s %s\\n' "$mark" "$*" >&4; }
say begins
refuse() { say refused "$@"; exit 0; }
[ -z "$folder" ] || cd -- "$folder" || refuse "there is no folder $folder to run it in"
runnable() { [ -f "$1" ] && [ -x "$1" ]; }
case $program in
  */*) [ -e "$program" ] || refuse "$program: no such file"
       runnable "$program" || refuse "$program: not a program that may be run";;
  *) found= before=$IFS; IFS=:; set -f
     for place in $search; do if runnable "${place:-.}/$program"; then found=1; break; fi; done
     IFS=$before; set +f
     [ "$found" ] || refuse "$program: no such program";;
esac
setsid "$@" <&3 2>&4 3<&- 4>&- &
child=$!
exec 3<&- </dev/null
say runs "$child"
{
  while [ -d "/proc/$PPID" ]; do tail -s 0.5 --pid="$PPID" -f /dev/null || sleep 1; done
  exec sh -c "$killer" sh "$child"
} >/dev/null 4>&- &
watch=$!
wait "$child"; code=$?
kill "$watch"
say ended "$code"
"""
"""Arguments: mark, folder or "", PATH to search or "", program, KILL_TREE, and the command line. $PPID is the server's
process of this connection; ``tail --pid`` waits for its end, and where there is none (BusyBox), looking does."""

WITH_ENVIRONMENT = 'exec "$@"'


class Marked:
    """Takes the script's lines out of a program's standard error."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(16)
        self._begin = f"{SEPARATOR}{self.mark} ".encode()
        self._held = b""

    def split(self, data: bytes) -> Iterator[bytes | str]:
        """What the program wrote, and as text what the script said; the beginning of a line of it is held back."""
        self._held += data
        while True:
            before, begin, rest = self._held.partition(self._begin)
            if not begin:
                keep = self._beginning_in(before)
                self._held = before[len(before) - keep :]
                yield before[: len(before) - keep]
                return
            yield before
            line, newline, after = rest.partition(b"\n")
            if not newline:
                self._held = begin + rest
                return
            self._held = after
            yield line.decode("utf-8", "replace")

    def rest(self) -> bytes:
        """What was held back, once nothing more comes."""
        held, self._held = self._held, b""
        return held

    def _beginning_in(self, text: bytes) -> int:
        at = text.rfind(SEPARATOR.encode())
        return len(text) - at if at >= 0 and self._begin.startswith(text[at:]) else 0


def wrapped(argv: Sequence[str], mark: str, *, cwd: str | None, env: Mapping[str, str] | None) -> list[str]:
    """The command to run in the guest in place of ``argv``. Raises CommandFailed for what cannot be said that way."""
    if not argv:
        raise CommandFailed("a command needs at least the program's name")
    added = [f"{name}={value}" for name, value in (env or {}).items()]
    if any("\0" in part for part in (*argv, *added, cwd or "")):
        raise CommandFailed(f"`{shlex.join(argv)}` cannot be sent to the guest: it holds a NUL character")
    line = ["env", *added, "sh", "-c", WITH_ENVIRONMENT, "sh", *argv] if added else list(argv)
    whole = ["sh", "-c", SCRIPT, "sh", mark, cwd or "", (env or {}).get("PATH", ""), argv[0], KILL_TREE, *line]
    if len(os.fsencode(shlex.join(whole))) > LONGEST:
        raise CommandFailed(
            f"a command line of `{argv[0]}` is too long to be sent to the guest",
            hint="write what it is to work on into a file, or give it as input.",
        )
    return whole
