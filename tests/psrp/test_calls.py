"""Calls are data: what a call says is what its parts say, and it shows no secret."""

from __future__ import annotations

import uuid
from typing import Any
from xml.etree import ElementTree

import psrpcore
import pytest
from psrpcore import types as ps

from pytest_hyperv.psrp.calls import Call, Command, Script, Select
from pytest_hyperv.psrp.creation import creation_message, shape_of, values_of
from pytest_hyperv.psrp.dotnet import PSObject
from pytest_hyperv.psrp.messages import MESSAGE_HEAD, repaired_for_sending
from pytest_hyperv.psrp.secret import Secret
from pytest_hyperv.psrp.values import from_wire


def received(call: Call, *, no_input: bool = True) -> psrpcore.PowerShell:
    """The pipeline that psrpcore's server side reads from the message of a call."""
    pool, pipeline = psrpcore.ServerRunspacePool(), uuid.uuid4()
    psrpcore.ServerPipeline(pool, pipeline)
    message = creation_message(shape_of(call), values_of(call), pool=uuid.uuid4(), pipeline=pipeline, no_input=no_input)
    fragment = repaired_for_sending(message).fragment
    pool.receive_data(psrpcore.PSRPPayload(fragment, psrpcore.StreamType.default, pipeline))
    event = pool.next_event()
    assert isinstance(event, psrpcore.CreatePipelineEvent)
    return event.pipeline


def shown(call: Call) -> list[tuple[str, bool, list[tuple[str | None, Any]], bool]]:
    return [
        (c.command_text, c.is_script, [(name, from_wire(value)) for name, value in c.parameters], c.end_of_statement)
        for c in received(call).commands
    ]


def test_commands_scripts_and_pipes_arrive_as_they_were_said() -> None:
    call = Call(
        Script("param($a, $b)", 1, b="x") | Command("Where-Object", Property="A", EQ=True) | Select("A", First=1)
    )
    assert shown(call) == [
        ("param($a, $b)", True, [(None, 1), ("b", "x")], False),
        ("Where-Object", False, [("Property", "A"), ("EQ", True)], False),
        ("Select-Object", False, [("Property", ["A"]), ("First", 1)], True),
    ]


def test_every_statement_of_several_stops_on_error_unless_it_says_otherwise() -> None:
    call = Call(Command("A", 1)).then(Command("B", ErrorAction="Continue") | Command("C")).then(Script("d"))
    assert shown(call) == [
        ("A", False, [(None, 1), ("ErrorAction", "Stop")], True),
        ("B", False, [("ErrorAction", "Continue")], False),
        ("C", False, [("ErrorAction", "Stop")], True),
        ("d", True, [], True),
    ]


def test_a_single_statement_is_left_as_it_is() -> None:
    assert shown(Call(Command("A"))) == [("A", False, [], True)]


@pytest.mark.parametrize("then", [Command("A").then, Script("A").then, (Command("A") | Command("B")).then])
def test_everything_that_runs_can_be_followed(then: Any) -> None:
    assert len(then(Command("Z")).statements) == 2


def test_two_calls_of_one_shape_keep_their_own_values() -> None:
    first = Call(Command("A", PSObject.of(N=[1, {"k": "v"}]), Other=PSObject.of(M=2)))
    second = Call(Command("A", "plain", Other=None))
    for call in (first, second, first):
        assert [from_wire(value) for _, value in received(call).commands[0].parameters] == [
            v for _, v in call.parameters
        ]


def test_every_reference_of_a_message_is_given_once() -> None:
    call = Call(Command("A", [PSObject.of(X=1)], [PSObject.of(X=2)])).then(Command("B", [PSObject.of(X=3)]))
    message = creation_message(shape_of(call), values_of(call), pool=uuid.uuid4(), pipeline=uuid.uuid4(), no_input=True)
    tree = ElementTree.fromstring(message.raw[MESSAGE_HEAD:])
    for given, used in (("Obj", "Ref"), ("TN", "TNRef")):
        identities = [element.attrib["RefId"] for element in tree.iter(given)]
        assert len(identities) == len(set(identities)) > 3
        assert {element.attrib["RefId"] for element in tree.iter(used)} <= set(identities)


def test_references_inside_values_stay_apart() -> None:
    call = Call(Command("A", [PSObject.of(X=1), PSObject.of(X=2)], [PSObject.of(X=3)])).then(
        Command("B", [PSObject.of(X=4)])
    )
    (_, first), (_, second), _ = received(call).commands[0].parameters
    assert [bag.X for bag in from_wire(first) + from_wire(second)] == [1, 2, 3]
    assert from_wire(received(call).commands[1].parameters[0][1])[0].X == 4


def test_the_message_is_the_one_psrpcore_writes() -> None:
    call = Call(Command("Get-VM", Id="x", Force=True) | Command("Out-Null", 5))
    pool, pipeline = psrpcore.ClientRunspacePool(host=ps.HostInfo()), uuid.uuid4()
    pool.state, pool.their_capability = ps.RunspacePoolState.Opened, pool.our_capability
    shell = psrpcore.ClientPowerShell(
        pool, pipeline_id=pipeline, remote_stream_options=ps.RemoteStreamOptions.AddInvocationInfoToErrorRecord
    )
    shell.add_command("Get-VM").add_parameters(Id="x", Force=True)
    shell.add_command("Out-Null").add_argument(ps.PSInt(5))
    shell.start()
    payload = pool.data_to_send()
    assert payload is not None
    ours = creation_message(
        shape_of(call), values_of(call), pool=pool.runspace_pool_id, pipeline=pipeline, no_input=True
    )
    assert ours.raw == payload.data[21:]


def test_input_and_local_scope_are_said() -> None:
    assert received(Call(Command("A")), no_input=False).no_input is False
    assert received(Call(Script("a").in_local_scope())).commands[0].use_local_scope is True
    assert received(Call(Script("a"))).commands[0].use_local_scope is None


def test_a_title_names_what_runs_and_no_value() -> None:
    call = Call(Command("Get-VM", Id="secret") | Select("A")).then(Script("$x", "secret"))
    assert call.title == "Get-VM | Select-Object; script"


def test_calls_are_values() -> None:
    assert Command("A", 1, B=2) == Command("A", 1, B=2)
    assert Call(Command("A")) != Call(Command("B"))
    assert "hunter2" not in repr(Call(Command("A", Secret("hunter2"))))
    with pytest.raises(AttributeError):
        Command("A").name = "B"  # type: ignore[misc]
