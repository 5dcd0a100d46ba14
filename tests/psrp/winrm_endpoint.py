"""A WinRM service on loopback as a program: HTTP and HTTPS, Basic and NTLM with sealed messages, WinRS shells.

Reads one JSON object (a :class:`Plan`) from stdin and prints its ports as one JSON line; then each line of stdin is an
order, answered by one line, and the program ends when stdin does. Orders: ``{"do": "misbehave", "on": OPERATION,
"how": HOW, "times": N}``, ``{"do": "behave"}``, ``{"do": "drop idle"}``, ``{"do": "forget logins"}``,
``{"do": "count"}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.psrp.doubles import Double, started
from tests.psrp.winrm_auth import Account
from tests.psrp.winrm_http import Service, WinRMServer
from tests.psrp.winrm_misbehaviour import How, Misbehaviour
from tests.psrp.winrm_shells import Shells

USER, PASSWORD = "tester", "Pa55-wörd"


@dataclass(frozen=True)
class Plan:
    """What the service is like. ``commands``: see :class:`~tests.psrp.winrm_shells.Shells`.

    ``certificate`` is a PEM file with key and certificate for HTTPS; clients may prove themselves by the same.
    """

    commands: dict[str, list[str]]
    certificate: str
    user: str = USER
    password: str = PASSWORD
    max_shells: int = 30
    envelope_limit: int = 153_600
    allow_plaintext: bool = False


class Endpoint:
    """The running program, seen from the outside."""

    def __init__(self, program: Double, ports: dict[str, int]) -> None:
        self._program = program
        self.http_port = ports["http"]
        self.https_port = ports["https"]

    def misbehave(self, on: str, how: How, times: int = 1) -> None:
        """Go wrong in the way ``how`` the next ``times`` times that the operation ``on`` is asked for."""
        self._program.tell({"do": "misbehave", "on": on, "how": how, "times": times})

    def behave(self) -> None:
        """Forget every misbehaviour that is still planned."""
        self._program.tell({"do": "behave"})

    def drop_idle(self) -> int:
        """Close every connection that is idle; how many."""
        return int(self._program.tell({"do": "drop idle"})["dropped"])

    def forget_logins(self) -> None:
        """Treat every idle connection as one that has not authenticated."""
        self._program.tell({"do": "forget logins"})

    def count(self) -> dict[str, int]:
        """Shells, processes and "receives waiting" now; operations by name so far, and HTTP requests ("http").

        Of these, "in the clear" came unsealed over HTTP, and "unreadable" sealed for another connection.
        """
        return dict(self._program.tell({"do": "count"}))


@contextlib.contextmanager
def running(plan: Plan) -> Iterator[Endpoint]:
    """The program, started with ``plan``; it has ended when the block has."""
    with started("tests.psrp.winrm_endpoint", plan) as (program, ports):
        yield Endpoint(program, ports)


def _obey(service: Service, order: dict[str, Any]) -> dict[str, Any]:
    if order["do"] == "misbehave":
        service.schedule.plan(Misbehaviour(order["on"], order["how"]), order["times"])
    elif order["do"] == "behave":
        service.schedule.clear()
    elif order["do"] == "drop idle":
        return {"dropped": service.drop_idle()}
    elif order["do"] == "forget logins":
        service.forget_logins()
    return {**service.shells.counts(), **service.operations, "receives waiting": service.receives_waiting}


def main() -> None:
    """Serve until stdin ends."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    with tempfile.TemporaryDirectory(prefix="winrm") as folder:
        accounts = Path(folder) / "accounts"
        accounts.write_text(f":{plan.user}:{plan.password}\n", "utf-8")
        os.environ["NTLM_USER_FILE"] = str(accounts)
        service = Service(
            Account(plan.user, plan.password),
            Shells(plan.commands, plan.max_shells),
            plan.envelope_limit,
            plan.allow_plaintext,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(plan.certificate)
        context.load_verify_locations(plan.certificate)
        context.verify_mode = ssl.CERT_OPTIONAL
        servers = {"http": WinRMServer(service), "https": WinRMServer(service, context)}
        for server in servers.values():
            threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({scheme: server.server_port for scheme, server in servers.items()}), flush=True)
        for line in sys.stdin:
            print(json.dumps(_obey(service, json.loads(line))), flush=True)
        service.ended.set()
        service.shells.end()


if __name__ == "__main__":
    main()
