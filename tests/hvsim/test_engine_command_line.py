"""Plain command lines: what is read, what is refused; and param blocks."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.hvsim.engine import param_block
from tests.hvsim.engine.command_line import parse
from tests.hvsim.engine.syntax import (
    Assignment,
    Cast,
    CommandText,
    Items,
    Joined,
    Literal,
    Member,
    Nested,
    Parameter,
    Pipe,
    Table,
    Unreadable,
    Variable,
)
from tests.hvsim.engine.values import Int64
from tests.psrp.peer.records import ShellError


def only(text: str) -> Any:
    ((part,),) = [line.parts for line in parse(text) if isinstance(line, Pipe)]
    return part


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", Literal(5)),
        ("-5", Literal(-5)),
        ("0x10", Literal(16)),
        ("4GB", Literal(4 * 2**30)),
        ("1.5", Literal(1.5)),
        ("'it''s'", Literal("it's")),
        ('"a`"b`n"', Literal('a"b\n')),
        ('"a $x b"', Joined((Literal("a "), Variable("x"), Literal(" b")))),
        ("$true", Literal(True)),
        ("$null", Literal(None)),
        ("$global:x.Name", Member(Variable("x"), "Name")),
        ("1,2", Items((Literal(1), Literal(2)))),
        ("@{a=1; 'b c'='d'}", Table((("a", Literal(1)), ("b c", Literal("d"))))),
        ("[guid]'x'", Cast("guid", Literal("x"))),
        ("@()", Nested((), as_list=True)),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert only(text) == value


def test_commands_with_parameters() -> None:
    assert only("Hyper-V\\Get-VM -Id $i -Force -Confirm:$false C:\\x y,z") == CommandText(
        "Hyper-V\\Get-VM",
        (
            Parameter("Id"),
            Variable("i"),
            Parameter("Force"),
            Parameter("Confirm", Literal(False)),
            Literal("C:\\x"),
            Items((Literal("y"), Literal("z"))),
        ),
    )


def test_lines_pipes_comments_and_assignments() -> None:
    lines = parse("# a remark\n$x = Get-VM |\n  Select-Object Name; 'two' # more\n\n")
    assert lines == (
        Assignment("x", Pipe((CommandText("Get-VM", ()), CommandText("Select-Object", (Literal("Name"),))))),
        Pipe((Literal("two"),)),
    )


@pytest.mark.parametrize("text", ["Get-VM 2>&1", "& Get-VM", "& 'Get-VM'", "(Get-VM).Name", "? Name -eq x", "% Name"])
def test_what_people_type_is_read(text: str) -> None:
    assert len(parse(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "if (1) { 2 }",
        "1 + 1",
        "$x[0]",
        "$x.ToString()",
        "Get-VM | 5",
        "Get-VM > file",
        "{ Get-VM }",
        "'open",
        '"open',
        "(Get-VM",
        "@{a}",
        "Get-VM || Get-VMHost",
        "function f {}",
        "$x.a = 5",
        "[int]::MaxValue",
    ],
)
def test_what_is_more_than_a_command_line_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text)


BLOCK = """# What it does.
param([guid] $VMId, [string] $Name = 'none', [long] $Count = 32MB, [switch] $Digest, [object[]] $Items = @(), $Any)
Get-Anything
"""


def test_a_param_block_gives_names_types_and_defaults() -> None:
    parameters, rest = param_block.split(BLOCK)
    assert parameters is not None
    assert rest.strip() == "Get-Anything"
    assert param_block.bind(parameters, ()) == {
        "VMId": None,
        "Name": "none",
        "Count": 32 * 2**20,
        "Digest": False,
        "Items": [],
        "Any": None,
    }


def test_arguments_are_bound_by_name_and_by_position_and_converted() -> None:
    parameters, _ = param_block.split(BLOCK)
    machine = uuid.uuid4()
    values = param_block.bind(parameters or [], ((None, str(machine)), ("count", "7"), (None, 5), ("ITEMS", "x")))
    assert (values["VMId"], values["Name"], values["Count"], values["Items"]) == (machine, "5", Int64(7), ["x"])


@pytest.mark.parametrize(
    ("arguments", "error_id"),
    [
        ((("Bogus", 1),), "NamedParameterNotFound"),
        (((None, "x"),), "ParameterArgumentTransformationError"),
        (((None, uuid.uuid4()), *((None, 1) for _ in range(6))), "PositionalParameterNotFound"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: Any, error_id: str) -> None:
    parameters, _ = param_block.split(BLOCK)
    with pytest.raises(ShellError) as raised:
        param_block.bind(parameters or [], arguments)
    assert raised.value.error_id == error_id


def test_a_script_without_a_block_has_no_parameters() -> None:
    assert param_block.split("Get-VM") == (None, "Get-VM")
