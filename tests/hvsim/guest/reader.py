"""Characters of a PowerShell script: places, blanks, comments, words, numbers and strings."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.hvsim.guest.syntax_tree import Expandable, Expression, Literal, Member, Variable

NAME = re.compile(r"[A-Za-z_][\w]*")
VARIABLE = re.compile(r"\$(?:\{([^}]+)\}|((?:[A-Za-z_]\w*:)?[A-Za-z_]\w*|[_?$^]))")
NUMBER = re.compile(r"(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?(kb|mb|gb|tb)?[lL]?(?!\w)", re.IGNORECASE)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "e": "\x1b"}
UNITS = {"kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}


class ScriptError(Exception):
    """A script that cannot be read, with the words of PowerShell's parser."""

    def __init__(self, message: str, error_id: str = "ParserError") -> None:
        super().__init__(message)
        self.message = message
        self.error_id = error_id


class Reader:
    """A script's text and the place that is read next."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.place = 0

    @property
    def rest(self) -> str:
        """What is left."""
        return self.text[self.place :]

    def peek(self, count: int = 1) -> str:
        """The next characters."""
        return self.text[self.place : self.place + count]

    def blanks(self, *, lines: bool = False) -> None:
        """Go over blanks and comments, and over line ends too when `lines` says so."""
        pattern = r"(?:[ \t]|`\n|<#.*?#>|#[^\n]*" + (r"|\n|;" if lines else "") + ")+"
        found = re.compile(pattern, re.DOTALL).match(self.text, self.place)
        if found:
            self.place = found.end()

    def line_ends(self) -> None:
        """Go over blanks and line ends, but over no semicolon."""
        found = re.compile(r"(?:\s|`\n|<#.*?#>|#[^\n]*)+", re.DOTALL).match(self.text, self.place)
        if found:
            self.place = found.end()

    def takes(self, *texts: str) -> str:
        """The first of `texts` that comes next, taken; "" for none."""
        for text in texts:
            if self.text.startswith(text, self.place):
                self.place += len(text)
                return text
        return ""

    def needs(self, text: str) -> None:
        """Take `text`. Raises ScriptError when something else comes."""
        self.line_ends()
        if not self.takes(text):
            raise ScriptError(f"Missing '{text}' before '{self.rest[:20]}'.", "MissingToken")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What comes next, when it fits the pattern; taken."""
        found = pattern.match(self.text, self.place)
        if found:
            self.place = found.end()
        return found

    def keyword(self, *words: str) -> str:
        """The first of the words that comes next as a whole word, in lower case; taken."""
        for word in words:
            if self.match(re.compile(word + r"(?![\w-])", re.IGNORECASE)):
                return word
        return ""

    def number(self) -> int | float | None:
        """A number, None when none comes next."""
        found = self.match(NUMBER)
        if not found:
            return None
        text = found[0].rstrip("lL")
        unit = UNITS.get((found[1] or "").casefold(), 1)
        text = text[: len(text) - 2] if found[1] else text
        value = (
            int(text, 16) if text.casefold().startswith("0x") else float(text) if set(text) & set(".eE") else int(text)
        )
        return value * unit

    def variable(self) -> Variable | None:
        """A variable, None when none comes next."""
        found = self.match(VARIABLE)
        if not found:
            return None
        scope, colon, name = (found[1] or found[2]).rpartition(":")
        return Variable(name, scope.casefold() if colon else "")

    def single_quoted(self) -> str | None:
        """A string in single quotes, or a here-string in them."""
        if found := self.match(re.compile(r"@'[ \t]*\n(.*?)\n?'@", re.DOTALL)):
            return found[1]
        found = self.match(re.compile(r"'((?:[^']|'')*)'"))
        return found[1].replace("''", "'") if found else None

    def double_quoted(self, inner: Callable[[], Expression]) -> Expression | None:
        """A string in double quotes; `inner` reads what begins at ``$(``."""
        here = self.match(re.compile(r'@"[ \t]*\n'))
        if not here and not self.takes('"'):
            return None
        parts: list[Expression] = []
        text = ""
        while True:
            if here and self.match(re.compile(r'\n?"@')):
                break
            if not here and self.takes('""'):
                text += '"'
            elif not here and self.takes('"'):
                break
            elif not self.peek():
                raise ScriptError('The string is missing the terminator: ".', "TerminatorExpectedAtEndOfString")
            elif self.takes("`"):
                text += ESCAPES.get(self.peek(), self.peek())
                self.place += 1
            elif self.peek(2) == "$(":
                parts += [Literal(text), inner()]
                text = ""
            elif variable := self.variable():
                parts += [Literal(text), variable]
                text = ""
            else:
                text += self.peek()
                self.place += 1
        return Expandable((*parts, Literal(text))) if parts else Literal(text)

    def expanded_word(self, word: str) -> Expression:
        """A bare word, in which variables and their properties stand for their values."""
        inner = Reader(word)
        parts: list[Expression] = []
        text = ""
        while inner.peek():
            variable: Expression | None = inner.variable()
            if variable is None:
                text += inner.peek()
                inner.place += 1
                continue
            while not parts and not text and (found := inner.match(re.compile(r"\.([A-Za-z_]\w*)"))):
                variable = Member(variable, found[1])
            parts += [Literal(text), variable]
            text = ""
        return Expandable((*parts, Literal(text))) if parts else Literal(word)
