"""A client and a server, each in a machine of its own, on a network that nobody else is on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_hyperv import MachineFactory, VirtualMachine

HERE = Path(__file__).parent
LOG = "/run/greeter.log"


@pytest.fixture
def pair(hyperv_vm_factory: MachineFactory) -> tuple[VirtualMachine, VirtualMachine]:
    """The client and the server, which runs and can be reached."""
    client, server = hyperv_vm_factory(2, network="private")
    server.copy_in(HERE / "greeter.pl", "/srv/")
    client.copy_in(HERE / "greet.pl", "/srv/")
    server.sh(f"setsid perl /srv/greeter.pl > {LOG} 2>&1 < /dev/null &").check()
    client.wait_for_port(7000, host=server.name)
    return client, server


def test_the_client_is_greeted_and_the_server_sees_where_from(pair: tuple[VirtualMachine, VirtualMachine]) -> None:
    client, server = pair
    assert client.run(["perl", "/srv/greet.pl", server.address, "Ada"]).check().stdout == "hello, Ada\n"
    assert client.run(["perl", "/srv/greet.pl", server.name, "Grace"]).check().stdout == "hello, Grace\n"
    assert server.read_text(LOG) == f"Ada from {client.address}\nGrace from {client.address}\n"


def test_the_client_says_so_when_the_server_loses_its_power(pair: tuple[VirtualMachine, VirtualMachine]) -> None:
    client, server = pair
    server.kill()
    asked = client.run(["perl", "/srv/greet.pl", server.name, "Ada"])
    assert asked.stderr == f"no server at {server.name}\n"
    assert not asked
