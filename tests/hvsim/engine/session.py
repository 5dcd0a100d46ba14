"""A session of the vendor's protocol on the standard streams, whose pipelines the engine runs."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from typing import Any

import psrpcore
from psrpcore import types as ps

from tests.hvsim.engine import clixml
from tests.hvsim.engine.general.cim import HOST_NAME
from tests.hvsim.engine.pipeline import Engine
from tests.hvsim.engine.processes import Registration
from tests.hvsim.engine.received import received
from tests.hvsim.engine.statements import requested
from tests.hvsim.host.faults import ProcessDies
from tests.psrp.peer.records import ShellError
from tests.psrp.peer.server import Running, Server
from tests.psrp.peer.wire import Wire

VERSION_OF = {"2019": "5.1.17763.1", "2022": "5.1.20348.1", "2025": "5.1.26100.1"}
"""Windows PowerShell's version on each Windows Server."""


@dataclass
class WireSink:
    """The streams of one pipeline on the wire."""

    running: Running

    @property
    def stop(self) -> threading.Event:
        """Set when the pipeline is told to stop."""
        return self.running.stop

    def output(self, value: object) -> None:
        """One object on the output stream, as the engine serializes it; psrpcore's own objects as psrpcore does."""
        self.running.check()
        if isinstance(value, ps.PSObject):
            self.running.output(value)
            return
        body = clixml.serialize(value, self._encrypt)
        self.running.server.message(self.running.guid, ps.PSRPMessageType.PipelineOutput.value, body)

    def error(self, failure: ShellError) -> None:
        """A record on the error stream."""
        self.running.error(failure)

    def message(self, stream: str, text: str) -> None:
        """A record on the warning, verbose, debug or information stream."""
        if stream == "information":
            self.running.write(lambda pipeline: pipeline.write_information(text, "Write-Information", tags=[]))
        else:
            self.running.write(lambda pipeline: getattr(pipeline, f"write_{stream}")(text))

    def sleep(self, seconds: float) -> None:
        """Wait for real seconds, or raise Stopped."""
        self.running.sleep(seconds)

    def check(self) -> None:
        """Raise Stopped once the pipeline was told to stop."""
        self.running.check()

    def exit(self, code: int) -> None:
        """End the script."""
        self.running.exit(code)

    def _encrypt(self, secret: str) -> str:
        protected = ps.PSSecureString(secret)
        return str(ps.PSSecureString.ToPSObjectForRemoting(protected, cipher=self.running.server.pool._cipher))


class Session:
    """Serves one client."""

    def __init__(self, wire: Wire, engine: Engine, registration: Registration) -> None:
        self._engine = engine
        self._registration = registration
        version = VERSION_OF[engine.host.options.version]
        engine.process.variables |= self._variables(version)
        self._server = Server(wire, self._invoke, private_data={"PSVersionTable": version_table(version)})

    def _variables(self, version: str) -> dict[str, object]:
        """What a script finds set, by casefolded name."""
        user = self._engine.host.options.user
        return {
            "psversiontable": received(ps.PSDict(version_table(version))),
            "pshome": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0",
            "env:computername": HOST_NAME,
            "env:username": user,
            "env:userprofile": f"C:\\Users\\{user}",
            "env:temp": f"C:\\Users\\{user}\\AppData\\Local\\Temp",
            "env:systemdrive": "C:",
            "erroractionpreference": "Continue",
        }

    def serve(self) -> int:
        """Serve to the end; the exit code of the process."""
        return self._server.serve()

    def _invoke(self, running: Running, shell: psrpcore.PowerShell) -> None:
        if self._registration.is_dead():
            die("The host has been restarted.", 1)
        streamed = None if shell.no_input else running.inputs()
        try:
            self._engine.run(requested(shell), WireSink(running), streamed)
        except ProcessDies as death:
            self._registration.end_all()
            die(str(death), death.exit_code)


def die(reason: str, exit_code: int) -> None:
    """End this process at once."""
    sys.stderr.write(f"{reason}\n")
    sys.stderr.flush()
    os._exit(exit_code & 0xFF or 1)


def version_table(version: str) -> dict[str, Any]:
    """What a Windows PowerShell says of itself when a session opens."""
    compatible = ps.PSList([ps.PSVersion(text) for text in ("1.0", "2.0", "3.0", "4.0", "5.0", version)])
    return {
        "PSVersion": ps.PSVersion(version),
        "PSEdition": "Desktop",
        "PSCompatibleVersions": compatible,
        "BuildVersion": ps.PSVersion("10.0." + version.split(".", 2)[2]),
        "CLRVersion": ps.PSVersion("4.0.30319.42000"),
        "WSManStackVersion": ps.PSVersion("3.0"),
        "PSRemotingProtocolVersion": ps.PSVersion("2.3"),
        "SerializationVersion": ps.PSVersion("1.1.0.1"),
    }
