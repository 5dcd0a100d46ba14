"""Lines of cmd.exe as a tree: chains with ``&``, ``&&`` and ``||``, pipes, groups, ``if``, and redirections."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Redirect:
    """``2>>file`` and its like. `mode` is ``<``, ``>``, ``>>`` or ``&`` (as the stream that `target` names)."""

    stream: int
    mode: str
    target: str


@dataclass(frozen=True)
class Simple:
    """One command; `text` still has its quotes."""

    text: str
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True)
class Chain:
    """Two commands, the second run always (``&``), after success (``&&``) or after failure (``||``)."""

    left: Node
    operator: str
    right: Node


@dataclass(frozen=True)
class Pipe:
    """Two commands, the output of the first being the input of the second."""

    left: Node
    right: Node


@dataclass(frozen=True)
class Group:
    """A line in parentheses."""

    inner: Node
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True)
class If:
    """``if [/i] [not] KIND OPERANDS then [else otherwise]``; KIND is exist, defined, errorlevel or a comparison."""

    negated: bool
    kind: str
    operands: tuple[str, ...]
    then: Node
    otherwise: Node | None = None
    any_case: bool = False


Node = Simple | Chain | Pipe | Group | If

COMPARISONS = ("equ", "neq", "lss", "leq", "gtr", "geq")
_LEVELS = ("&", "||", "&&", "|")
_BLANK = " \t,;="


class SyntaxTrouble(Exception):
    """A line that cmd.exe does not understand."""


def expand(line: str, variables: Mapping[str, str], special: Callable[[str], str | None]) -> str:
    """``%NAME%`` replaced by its value, in any case; unknown names stay, as on a command line."""
    folded = {name.casefold(): value for name, value in variables.items()}

    def value(match: re.Match[str]) -> str:
        name = match[1].casefold()
        known = special(name)
        return known if known is not None else folded.get(name, match[0])

    return re.sub(r"%([^%=\s][^%=]*)%", value, line)


def unquoted(word: str) -> str:
    """The word without its quotes."""
    return word.replace('"', "")


def parse(line: str) -> Node | None:
    """The tree of one line, None for an empty one. Raises SyntaxTrouble."""
    reader = _Reader(line)
    reader.blanks()
    if reader.at_end:
        return None
    node = reader.level(0)
    if not reader.at_end:
        raise SyntaxTrouble(f"{reader.rest} was unexpected at this time.")
    return node


@dataclass
class _Reader:
    text: str
    place: int = 0
    depth: int = 0
    redirects: list[Redirect] = field(default_factory=list)

    @property
    def at_end(self) -> bool:
        return self.place >= len(self.text)

    @property
    def rest(self) -> str:
        return self.text[self.place :]

    def blanks(self) -> None:
        while not self.at_end and self.text[self.place] in " \t":
            self.place += 1

    def level(self, number: int) -> Node:
        """A chain of the operators of one level, each binding closer than those of the level before."""
        if number == len(_LEVELS):
            return self.command()
        operator = _LEVELS[number]
        left = self.level(number + 1)
        while self.takes(operator):
            self.blanks()
            if operator == "&" and (self.at_end or (self.depth and self.rest.startswith(")"))):
                return left
            right = self.level(number + 1)
            left = Pipe(left, right) if operator == "|" else Chain(left, operator, right)
        return left

    def takes(self, operator: str) -> bool:
        self.blanks()
        if not self.rest.startswith(operator) or (len(operator) == 1 and self.rest.startswith(operator * 2)):
            return False
        self.place += len(operator)
        return True

    def command(self) -> Node:
        self.blanks()
        if self.rest.startswith("@"):
            self.place += 1
            return self.command()
        if self.rest.startswith("("):
            return self.group()
        if re.match(r"if\b", self.rest, re.IGNORECASE):
            self.place += 2
            return self.conditional()
        return self.simple()

    def group(self) -> Group:
        self.place += 1
        self.depth += 1
        inner = self.level(0)
        self.blanks()
        if not self.rest.startswith(")"):
            raise SyntaxTrouble("The syntax of the command is incorrect.")
        self.place += 1
        self.depth -= 1
        after = self.simple()
        if after.text.strip():
            self.place -= len(after.text)
        return Group(inner, after.redirects)

    def conditional(self) -> If:
        any_case = self.keyword("/i")
        negated = self.keyword("not")
        kind, operands = self.condition()
        then = self.level(0)
        otherwise = self.level(0) if isinstance(then, Group) and self.keyword("else") else None
        return If(negated, kind, operands, then, otherwise, any_case)

    def condition(self) -> tuple[str, tuple[str, ...]]:
        for kind in ("exist", "defined", "errorlevel"):
            if self.keyword(kind):
                return kind, (unquoted(self.word()),)
        left = self.word(stops="=")
        self.blanks()
        if self.rest.startswith("=="):
            self.place += 2
            return "equ", (left, self.word())
        operator = self.word().casefold()
        if operator not in COMPARISONS:
            raise SyntaxTrouble(f"{operator} was unexpected at this time.")
        return operator, (left, self.word())

    def keyword(self, word: str) -> bool:
        self.blanks()
        found = re.match(re.escape(word) + r"(?=[\s(\"]|$)", self.rest, re.IGNORECASE)
        if found:
            self.place += len(word)
        return found is not None

    def word(self, stops: str = "") -> str:
        self.blanks()
        begin, quoted = self.place, False
        while not self.at_end and (quoted or self.text[self.place] not in " \t()&|<>" + stops):
            quoted ^= self.text[self.place] == '"'
            self.place += 1
        if self.place == begin:
            raise SyntaxTrouble("The syntax of the command is incorrect.")
        return self.text[begin : self.place]

    def simple(self) -> Simple:
        text, quoted, redirects = "", False, []
        while not self.at_end:
            character = self.text[self.place]
            if character == "^" and not quoted:
                text += self.text[self.place + 1 : self.place + 2]
                self.place += 2
                continue
            if not quoted and (character in "&|" or (character == ")" and self.depth)):
                break
            if not quoted and character in "<>":
                text, redirect = self.redirect(text, character)
                redirects.append(redirect)
                continue
            quoted ^= character == '"'
            text += character
            self.place += 1
        return Simple(text, tuple(redirects))

    def redirect(self, text: str, sign: str) -> tuple[str, Redirect]:
        stream = 0 if sign == "<" else 1
        if re.search(r"(^|\s)[0-9]$", text):
            stream, text = int(text[-1]), text[:-1]
        self.place += 1
        mode = sign
        if sign == ">" and self.rest.startswith(">"):
            mode, self.place = ">>", self.place + 1
        if self.rest.startswith("&"):
            self.place += 2
            return text, Redirect(stream, "&", self.text[self.place - 1])
        return text, Redirect(stream, mode, unquoted(self.word()))
