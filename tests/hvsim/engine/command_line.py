"""Parses plain command lines: commands, pipes, literals, variables, lists, hashtables, casts.

Not a programming language: ``Get-VM -Id $Id | Select-Object Name, State; Get-VMHost``.
"""

from __future__ import annotations

import re

from tests.hvsim.engine.syntax import (
    Assignment,
    Cast,
    CommandText,
    Expression,
    Items,
    Joined,
    Line,
    Literal,
    Member,
    Nested,
    Parameter,
    Pipe,
    Table,
    Unreadable,
    Variable,
)

_BLANK = re.compile(r"(?:[ \t]|`\r?\n|<#.*?#>|#[^\n]*)+", re.DOTALL)
_ANY_BLANK = re.compile(r"(?:\s|`\r?\n|<#.*?#>|#[^\n]*)+", re.DOTALL)
_ENDS = re.compile(r"[ \t]*(?:[;\n]|\r\n)")
_VARIABLE = re.compile(
    r"\$(?:\{([^}]+)\}|((?:global:|script:|local:|private:|env:)?[A-Za-z_][\w]*|[$?_^]))", re.IGNORECASE
)
_NUMBER = re.compile(
    r"([+-]?)(0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)(l|d)?(kb|mb|gb|tb|pb)?(?=[\s,;|)}\]]|$)", re.IGNORECASE
)
_PARAMETER = re.compile(r"-([A-Za-z?][\w]*)(:)?")
_WORD = re.compile(r"(?:[^\s;|,(){}'\"&<>$`]|`.|\$(?![\w{(]))(?:[^\s;|,(){}'\"&<>`]|`.)*")
_COMMAND = re.compile(r"[^\s\d;|,(){}'\"&<>$@\[\]`=+-][^\s;|,(){}'\"&<>$`]*|[%?]")
_VALUE = re.compile(r"[$'\"@(\[]")
_TYPE = re.compile(r"\[([A-Za-z][\w.]*(?:\[\])?)\]")
_MEMBER = re.compile(r"\.([A-Za-z_]\w*)(?![\w(])")
_MERGE = re.compile(r"([2*36])>&1|([2*36])>\s*\$null")
_KEYWORDS = re.compile(
    "if|else|elseif|for|foreach|while|do|until|switch|function|filter|try|catch|finally|return|throw|begin|process|end|"
    "trap|class|using|break|continue",
    re.IGNORECASE,
)
_UNITS = {"kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40, "pb": 2**50}
_STREAMS = {"2": ("error",), "3": ("warning",), "6": (), "*": ("error", "warning", "verbose")}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}


def parse(text: str) -> tuple[Line, ...]:
    """The lines of a script without its param block. Raises `Unreadable`."""
    reader = _Reader(text)
    lines = reader.lines()
    if not reader.at_end():
        raise Unreadable(f"unexpected {reader.rest()!r}")
    return lines


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def rest(self) -> str:
        """A little of what is still unread."""
        return self._text[self._at : self._at + 20]

    def at_end(self) -> bool:
        """Whether all is read."""
        self._take(_ANY_BLANK)
        return self._at >= len(self._text)

    def lines(self) -> tuple[Line, ...]:
        """Statements up to a closing bracket or the end."""
        found: list[Line] = []
        while True:
            while self._take(_ANY_BLANK) or self._take_text(";"):
                pass
            if self._at >= len(self._text) or self._text[self._at] in ")}":
                return tuple(found)
            found.append(self._line())
            self._take(_BLANK)
            if not (self._take(_ENDS) or self._at >= len(self._text) or self._text[self._at] in ")}"):
                raise Unreadable(f"unexpected {self.rest()!r}")

    def _line(self) -> Line:
        start = self._at
        if variable := self._take(_VARIABLE):
            self._take(_BLANK)
            if self._peek("=") and not self._peek("=="):
                self._at += 1
                self._take(_BLANK)
                return Assignment(_written_name(variable), self._pipe())
        self._at = start
        return self._pipe()

    def _pipe(self) -> Pipe:
        parts: list[CommandText | Expression] = [self._part(first=True)]
        while True:
            self._take(_BLANK)
            if self._peek("||"):
                raise Unreadable("the operator ||")
            if not self._take_text("|"):
                return Pipe(tuple(parts))
            self._take(_ANY_BLANK)
            parts.append(self._part(first=False))

    def _part(self, *, first: bool) -> CommandText | Expression:
        called = self._take_text("&")
        self._take(_BLANK)
        if called and self._text[self._at : self._at + 1] in "'\"":
            name = self._expression()
            if isinstance(name, Literal) and isinstance(name.value, str):
                return self._command(name.value)
        if self._number() is None and (found := self._take(_COMMAND)):
            if _KEYWORDS.fullmatch(found[0]):
                raise Unreadable(f"the keyword {found[0]}")
            return self._command(found[0])
        if not first or (self._number() is None and not self._sees(_VALUE)):
            raise Unreadable(f"unexpected {self.rest()!r}")
        return self._listed()

    def _command(self, name: str) -> CommandText:
        elements: list[Parameter | Expression] = []
        merged: set[str] = set()
        while True:
            self._take(_BLANK)
            if self._at >= len(self._text) or self._text[self._at] in ";|)}\n\r":
                return CommandText(name, tuple(elements), frozenset(merged))
            if redirected := self._take(_MERGE):
                merged.update(_STREAMS[redirected[1]] if redirected[1] else ("silent",))
            elif (negative := self._number()) is None and (parameter := self._take(_PARAMETER)):
                if parameter[2]:
                    self._take(_BLANK)
                elements.append(Parameter(parameter[1], self._listed() if parameter[2] else None))
            elif negative is not None or self._text[self._at] not in "<>":
                elements.append(self._listed())
            else:
                raise Unreadable(f"a redirection: {self.rest()!r}")

    def _listed(self) -> Expression:
        entries = [self._expression()]
        while self._comma():
            entries.append(self._expression())
        return entries[0] if len(entries) == 1 else Items(tuple(entries))

    def _comma(self) -> bool:
        start = self._at
        self._take(_BLANK)
        if self._take_text(","):
            self._take(_ANY_BLANK)
            return True
        self._at = start
        return False

    def _expression(self) -> Expression:
        if kind := self._take(_TYPE):
            if self._peek("::"):
                raise Unreadable(f"a member of the class {kind[1]}")
            self._take(_BLANK)
            return Cast(kind[1], self._expression())
        found = self._primary()
        while isinstance(found, (Variable, Member, Nested)) and (member := self._take(_MEMBER)):
            found = Member(found, member[1])
        return found

    def _primary(self) -> Expression:
        if self._take_text("@("):
            return Nested(self._closed(")"), as_list=True)
        if self._take_text("@{"):
            return self._table()
        if self._take_text("(") or self._take_text("$("):
            return Nested(self._closed(")"))
        if self._peek("'"):
            return Literal(self._single_quoted())
        if self._peek('"'):
            return self._double_quoted()
        if variable := self._take(_VARIABLE):
            return _named(_plain_name(variable))
        if (number := self._number()) is not None:
            self._take(_NUMBER)
            return Literal(number)
        if word := self._take(_WORD):
            return Literal(re.sub(r"`(.)", r"\1", word[0]))
        raise Unreadable(f"unexpected {self.rest()!r}")

    def _closed(self, bracket: str) -> tuple[Line, ...]:
        lines = self.lines()
        if not self._take_text(bracket):
            raise Unreadable(f"a missing {bracket}")
        return lines

    def _table(self) -> Expression:
        entries: list[tuple[str, Expression]] = []
        while True:
            while self._take(_ANY_BLANK) or self._take_text(";"):
                pass
            if self._take_text("}"):
                return Table(tuple(entries))
            key = self._primary() if self._text[self._at : self._at + 1] in "'\"" else self._key()
            self._take(_BLANK)
            if not self._take_text("=") or not isinstance(key, Literal):
                raise Unreadable(f"a hashtable at {self.rest()!r}")
            self._take(_ANY_BLANK)
            entries.append((str(key.value), self._listed()))
            self._take(_BLANK)

    def _key(self) -> Literal:
        found = self._take(re.compile(r"\w+"))
        if not found:
            raise Unreadable(f"a hashtable at {self.rest()!r}")
        return Literal(found[0])

    def _single_quoted(self) -> str:
        found = self._take(re.compile(r"'((?:[^']|'')*)'"))
        if not found:
            raise Unreadable("a string without an end")
        return found[1].replace("''", "'")

    def _double_quoted(self) -> Expression:
        self._at += 1
        parts: list[Expression] = []
        text = ""
        while not self._peek('"') or self._peek('""'):
            if self._at >= len(self._text):
                raise Unreadable("a string without an end")
            if self._take_text('""'):
                text += '"'
            elif escape := self._take(re.compile(r"`(.)", re.DOTALL)):
                text += _ESCAPES.get(escape[1], escape[1])
            elif self._take_text("$("):
                parts, text = [*parts, Literal(text), Nested(self._closed(")"))], ""
            elif variable := self._take(_VARIABLE):
                parts, text = [*parts, Literal(text), _named(_plain_name(variable))], ""
            else:
                text += self._text[self._at]
                self._at += 1
        self._at += 1
        return Joined((*parts, Literal(text))) if parts else Literal(text)

    def _number(self) -> int | float | None:
        """The number that stands here, which stays unread."""
        found = _NUMBER.match(self._text, self._at)
        if not found:
            return None
        digits, unit = found[2].casefold(), _UNITS.get((found[4] or "").casefold(), 1)
        value: int | float
        if digits.startswith("0x"):
            value = int(digits, 16) * unit
        elif re.fullmatch(r"\d+", digits):
            value = int(digits) * unit
        else:
            value = float(digits) * unit
        return -value if found[1] == "-" else value

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found and found[0]:
            self._at = found.end()
            return found
        return None

    def _sees(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self._text, self._at) is not None

    def _take_text(self, text: str) -> bool:
        if not self._peek(text):
            return False
        self._at += len(text)
        return True

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self._at)


def _written_name(variable: re.Match[str]) -> str:
    """The name that is assigned to: ``global:`` stays."""
    name = (variable[1] or variable[2]).casefold()
    return name if name.startswith("global:") else _plain_name(variable)


def _plain_name(variable: re.Match[str]) -> str:
    name = (variable[1] or variable[2]).casefold()
    scope, _, rest = name.rpartition(":")
    return name if scope == "env" else rest


def _named(name: str) -> Expression:
    constants = {"true": True, "false": False, "null": None}
    return Literal(constants[name]) if name in constants else Variable(name)
