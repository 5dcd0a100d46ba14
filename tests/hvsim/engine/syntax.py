"""The parts of a plain command line once it is parsed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Literal:
    """A value that is written out."""

    value: object


@dataclass(frozen=True)
class Variable:
    """``$name``, without a scope."""

    name: str


@dataclass(frozen=True)
class Member:
    """``of.name``."""

    of: Expression
    name: str


@dataclass(frozen=True)
class Joined:
    """A double-quoted string with variables in it."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Items:
    """``a, b`` and ``@(...)``."""

    entries: tuple[Expression, ...]


@dataclass(frozen=True)
class Table:
    """``@{name = value; ...}``."""

    entries: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True)
class Cast:
    """``[type] value``."""

    type: str
    of: Expression


@dataclass(frozen=True)
class Nested:
    """``(...)`` and ``$(...)``; `as_list` for ``@(...)``, which is a list of what comes out in any case."""

    lines: tuple[Line, ...]
    as_list: bool = False


Expression = Literal | Variable | Member | Joined | Items | Table | Cast | Nested


@dataclass(frozen=True)
class Parameter:
    """``-Name`` or ``-Name:value`` on a command line."""

    name: str
    value: Expression | None = None


@dataclass(frozen=True)
class CommandText:
    """A command as written: which of its parameters are switches is not known here."""

    name: str
    elements: tuple[Parameter | Expression, ...]
    merged: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pipe:
    """Commands, or one expression and then commands, with pipes between them."""

    parts: tuple[CommandText | Expression, ...]


@dataclass(frozen=True)
class Assignment:
    """``$name = ...``; the name begins with ``global:`` if that was written."""

    name: str
    pipe: Pipe


Line = Pipe | Assignment


class Unreadable(Exception):
    """The text is more than a plain command line; the message says what stands in the way."""
