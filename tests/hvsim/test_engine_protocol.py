"""The program and clients that are not ours: what the vendor's client said in recordings, and psrpcore by itself."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psrpcore
import pytest
from psrpcore import types as ps

from tests.hvsim.conftest import SWITCHES
from tests.hvsim.replayed import PATIENCE, POOL_STATE, SESSION, ReplayedClient, client_lines

RECORDINGS = Path(__file__).parents[1] / "psrp" / "recordings"
COMPLETED, FAILED = 4, 5
OPENED, CLOSED = 2, 3


@contextlib.contextmanager
def running(launcher: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [str(launcher), *SWITCHES]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


READABLE = [path for path in sorted(RECORDINGS.glob("*.jsonl")) if path.stem not in ("secrets", "stop")]
"""All but those whose secrets only the recorded server could read, and whose script never ends here."""


@pytest.mark.parametrize("recording", READABLE, ids=lambda path: path.stem)
def test_what_the_vendors_client_says_is_acknowledged_to_its_end(launcher: Path, recording: Path) -> None:
    with running(launcher) as process:
        client = ReplayedClient(process)
        for line in client_lines(recording):
            client.say(line)
        states = [
            int(body.split(b'N="RunspaceState">')[1][:1]) for kind, body in client.heard[SESSION] if kind == POOL_STATE
        ]
        assert states[0] == OPENED
        assert states[-1] == CLOSED
        assert {client.state_of(guid) for guid in client.heard if guid != SESSION} <= {COMPLETED, FAILED}
        assert process.wait(PATIENCE) == 0


class OwnClient:
    """psrpcore's client side over the framing, with nothing of the package's own client."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._lines = ReplayedClient(process)
        self._pool = psrpcore.ClientRunspacePool()
        self._pool.open()
        self._send()

    def begin(self, script: str, *arguments: Any) -> uuid.UUID:
        """Start a pipeline of one script; its identity."""
        shell = psrpcore.ClientPowerShell(self._pool)
        shell.add_script(script)
        for argument in arguments:
            shell.add_argument(argument)
        self._lines.say(f"<Command PSGuid='{shell.pipeline_id}' />")
        shell.start()
        self._send()
        return uuid.UUID(str(shell.pipeline_id))

    def look_up(self, name: str) -> uuid.UUID:
        """Ask for the metadata of commands; the pipeline's identity."""
        asking = psrpcore.ClientGetCommandMetadata(self._pool, name)
        self._lines.say(f"<Command PSGuid='{asking.pipeline_id}' />")
        asking.start()
        self._send()
        return uuid.UUID(str(asking.pipeline_id))

    def bodies(self, guid: uuid.UUID, until: bytes) -> list[bytes]:
        """The messages of a pipeline up to the one that holds `until`."""
        self._lines.until_output(str(guid), until)
        return [body for _, body in self._lines.heard[str(guid)]]

    def close(self, guid: uuid.UUID) -> int:
        """Close a pipeline that has ended; its last state."""
        self._lines.say(f"<Close PSGuid='{guid}' />")
        return self._lines.state_of(str(guid))

    def _send(self) -> None:
        while (payload := self._pool.data_to_send(32768)) is not None:
            text = base64.b64encode(payload.data).decode()
            self._lines.say(f"<Data Stream='Default' PSGuid='{payload.pipeline_id or SESSION}'>{text}</Data>")


def test_a_plain_client_runs_commands_and_reads_the_engines_own_serialization(launcher: Path) -> None:
    with running(launcher) as process:
        client = OwnClient(process)
        guid = client.begin(
            "param($a) New-VMSwitch x -SwitchType Private | Select-Object SwitchType; $a; Get-Bogus", ps.PSInt64(2**40)
        )
        bodies = client.bodies(guid, b"PipelineState")
        assert client.close(guid) == FAILED
        text = b"".join(bodies).decode()
        assert "<T>Microsoft.HyperV.PowerShell.VMSwitchType</T><T>System.Enum</T>" in text
        assert "<T>Selected.Microsoft.HyperV.PowerShell.VMSwitch</T>" in text
        assert "<I64>1099511627776</I64>" in text
        assert "CommandNotFoundException" in text


def test_a_client_may_ask_which_commands_there_are(launcher: Path) -> None:
    with running(launcher) as process:
        client = OwnClient(process)
        text = b"".join(client.bodies(client.look_up("Get-VM*Switch"), b"PipelineState")).decode()
        assert '<I32 N="Count">' in text
        assert '<S N="Name">Get-VMSwitch</S>' in text


def test_the_end_of_input_ends_the_process_in_the_middle_of_a_pipeline(launcher: Path) -> None:
    with running(launcher) as process:
        client = OwnClient(process)
        client.bodies(client.begin("'begun'; Start-Sleep 3600"), b"begun")
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 160
