"""What a PowerShell script says, as a tree: the part of the language that the simulated guest understands."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Literal:
    """A number, a string in single quotes, or a bare word."""

    value: object


@dataclass(frozen=True)
class Expandable:
    """A string in double quotes: texts and expressions."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Variable:
    """``$name``, ``$global:name`` or ``$env:name``; `scope` is "" when none is written."""

    name: str
    scope: str = ""


@dataclass(frozen=True)
class TypeName:
    """``[type]``."""

    name: str


@dataclass(frozen=True)
class Cast:
    """``[type] expression``."""

    type: str
    operand: Expression


@dataclass(frozen=True)
class Member:
    """``target.name`` or ``[type]::name``; a call when `arguments` is not None."""

    target: Expression
    name: str
    arguments: tuple[Expression, ...] | None = None


@dataclass(frozen=True)
class Index:
    """``target[index]``."""

    target: Expression
    index: Expression


@dataclass(frozen=True)
class Unary:
    """``-not``, ``!``, ``-``, ``+``, ``,`` (a list of one), ``-split`` or ``-join``."""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary:
    """Two operands; the operator in lower case."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class ListOf:
    """``a, b, c``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Table:
    """``@{ name = value }``."""

    pairs: tuple[tuple[Expression, Statement], ...]


@dataclass(frozen=True)
class Inner:
    """``( )``, ``$( )`` or ``@( )``: statements inside an expression; `kind` is its first characters."""

    kind: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a param block; `type` in lower case, "" for none."""

    name: str
    type: str
    default: Expression | None = None


@dataclass(frozen=True)
class Block:
    """``{ }``, and a whole script. `parameters` is None without a param block."""

    statements: tuple[Statement, ...]
    parameters: tuple[Parameter, ...] | None = None
    text: str = ""


Expression = (
    Literal | Expandable | Variable | TypeName | Cast | Member | Index | Unary | Binary | ListOf | Table | Inner | Block
)


@dataclass(frozen=True)
class Argument:
    """One word of a command: a value, or ``-name`` with a value behind a colon. `raw` is what a program would see."""

    value: Expression | None
    name: str | None = None
    raw: str = ""
    splat: bool = False


@dataclass(frozen=True)
class CommandCall:
    """A command with its words. `silenced` holds the streams that go nowhere, `merged` those that go to the output."""

    name: Expression
    arguments: tuple[Argument, ...] = ()
    silenced: frozenset[str] = frozenset()
    merged: bool = False


@dataclass(frozen=True)
class Pipeline:
    """Commands, the first of which may be an expression."""

    stages: tuple[Expression | CommandCall, ...]


@dataclass(frozen=True)
class Assignment:
    """``$x = statement``, or with ``+=``, ``-=``, ``*=``."""

    target: Expression
    operator: str
    value: Statement


@dataclass(frozen=True)
class Condition:
    """``if``: conditions with their blocks, the last one's condition None for ``else``."""

    branches: tuple[tuple[Statement | None, Block], ...]


@dataclass(frozen=True)
class Loop:
    """``while``, ``do``-``while``/``until``, ``for`` and ``foreach``, by `kind`; what a kind has not is None."""

    kind: str
    body: Block
    condition: Statement | None = None
    first: Statement | None = None
    after: Statement | None = None
    variable: Variable | None = None


@dataclass(frozen=True)
class Try:
    """``try``, ``catch`` and ``finally``; the types a ``catch`` names make no difference."""

    body: Block
    handler: Block | None = None
    at_end: Block | None = None


@dataclass(frozen=True)
class Leave:
    """``exit``, ``throw``, ``return``, ``break`` and ``continue``, with what stands behind."""

    kind: str
    value: Statement | None = None


@dataclass(frozen=True)
class FunctionDefinition:
    """``function name { }``."""

    name: str
    body: Block = field(default_factory=lambda: Block(()))


Statement = Pipeline | Assignment | Condition | Loop | Try | Leave | FunctionDefinition
