"""Reads expressions of PowerShell: operators by their precedence, members, indexes, literals, tables and blocks."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from tests.hvsim.guest.reader import NAME, Reader, ScriptError
from tests.hvsim.guest.syntax_tree import (
    Binary,
    Block,
    Cast,
    Expression,
    Index,
    Inner,
    ListOf,
    Literal,
    Member,
    Statement,
    Table,
    TypeName,
    Unary,
)

_COMPARISONS = (
    *("eq", "ne", "gt", "ge", "lt", "le", "like", "notlike", "match", "notmatch", "contains", "notcontains"),
    *("in", "notin", "replace", "split", "join", "is", "isnot", "as"),
)
_LEVELS: tuple[re.Pattern[str], ...] = (
    re.compile(r"-(and|or|xor)(?!\w)", re.IGNORECASE),
    re.compile(r"-(band|bor|bxor)(?!\w)", re.IGNORECASE),
    re.compile(rf"-[ci]?({'|'.join(sorted(_COMPARISONS, key=len, reverse=True))})(?!\w)", re.IGNORECASE),
    re.compile(r"(\+|-)(?![\w]*[A-Za-z])(?![+=-])|(\+)(?![+=])|(-)(?=\$|\(|\s)"),
    re.compile(r"([*/%])(?!=)"),
    re.compile(r"-(f)(?!\w)", re.IGNORECASE),
    re.compile(r"(\.\.)"),
)
"""From the loosest to the closest; a comma binds closer than all of them."""
_TYPE = re.compile(r"\[([A-Za-z_][\w.]*(?:\[\])?)\]")


class ExpressionReader(Reader, ABC):
    """Expressions over the characters of one script."""

    @abstractmethod
    def statements(self, end: str) -> tuple[Statement, ...]:
        """Statements until `end`, which is not taken."""

    @abstractmethod
    def statement(self) -> Statement:
        """One statement."""

    @abstractmethod
    def block(self) -> Block:
        """``{ ... }``."""

    def expression(self, level: int = 0) -> Expression:
        """An expression with all operators from `level` on."""
        if level == len(_LEVELS):
            return self._list()
        left = self.expression(level + 1)
        while True:
            begin = self.place
            self.blanks()
            found = self.match(_LEVELS[level])
            if not found:
                self.place = begin
                return left
            self.line_ends()
            operator = next(group for group in found.groups() if group).casefold()
            left = Binary(operator, left, self.expression(level + 1))

    def comma_free(self) -> Expression:
        """An expression in which a comma ends: a default in a param block."""
        return self._unary()

    def _list(self) -> Expression:
        if self.match(re.compile(r",\s*")):
            return Unary(",", self._unary())
        items = [self._unary()]
        while self.match(re.compile(r"[ \t]*,\s*")):
            items.append(self._unary())
        return items[0] if len(items) == 1 else ListOf(tuple(items))

    def _unary(self) -> Expression:
        self.blanks()
        if found := self.match(re.compile(r"-(not|join|split)(?!\w)|(!)", re.IGNORECASE)):
            return Unary((found[1] or "not").casefold(), self._unary())
        number = self.number()
        if number is not None:
            return self._members(Literal(number))
        if self.takes("-"):
            return Unary("-", self._unary())
        if self.takes("+"):
            return self._unary()
        begin = self.place
        if (found := self.match(_TYPE)) and self.peek(2) != "::":
            self.blanks()
            if self.peek() and self.peek() in "$('\"@[{-+0123456789.":
                return Cast(found[1], self._unary())
            return TypeName(found[1])
        self.place = begin
        return self.postfix()

    def postfix(self) -> Expression:
        """A value with the members and indexes behind it."""
        return self._members(self._primary())

    def _members(self, value: Expression) -> Expression:
        while True:
            if found := self.match(re.compile(r"(?:\.|::)(?=[A-Za-z_'\"$(])")):
                del found
                value = self._member(value)
            elif self.takes("["):
                self.line_ends()
                index = self.expression()
                self.needs("]")
                value = Index(value, index)
            else:
                return value

    def _member(self, value: Expression) -> Expression:
        name = self.match(NAME)
        spelled = name[0] if name else self.single_quoted()
        if spelled is None:
            raise ScriptError("Missing property name after reference operator.", "MissingPropertyName")
        if not self.takes("("):
            return Member(value, spelled)
        arguments: list[Expression] = []
        self.line_ends()
        while not self.takes(")"):
            arguments.append(self._argument_of_method())
            self.line_ends()
            self.takes(",")
            self.line_ends()
        return Member(value, spelled, tuple(arguments))

    def _argument_of_method(self) -> Expression:
        self.match(re.compile(r"\[ref\]\s*", re.IGNORECASE))
        return self._unary()

    def _primary(self) -> Expression:
        self.blanks()
        if found := self.match(_TYPE):
            return TypeName(found[1])
        for kind in ("$(", "@(", "("):
            if self.takes(kind):
                inner = self.statements(")")
                self.needs(")")
                return Inner(kind, inner)
        if self.takes("@{"):
            return self._table()
        if self.peek() == "{":
            return self.block()
        single = self.single_quoted()
        if single is not None:
            return Literal(single)
        double = self.double_quoted(self._primary)
        if double is not None:
            return double
        variable = self.variable()
        if variable is not None:
            return variable
        raise ScriptError(
            f"Unexpected token '{(self.rest.split() or [''])[0]}' in expression or statement.", "UnexpectedToken"
        )

    def _table(self) -> Table:
        pairs: list[tuple[Expression, Statement]] = []
        while True:
            self.blanks(lines=True)
            if self.takes("}"):
                return Table(tuple(pairs))
            name = self.match(NAME)
            key = Literal(name[0]) if name else self.postfix()
            self.needs("=")
            self.line_ends()
            pairs.append((key, self.statement()))
