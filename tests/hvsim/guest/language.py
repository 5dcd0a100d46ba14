"""Reads PowerShell: statements, pipelines, commands. Expressions are in ``expressions``."""

from __future__ import annotations

import re
from dataclasses import replace

from tests.hvsim.guest.expressions import ExpressionReader
from tests.hvsim.guest.reader import ScriptError
from tests.hvsim.guest.syntax_tree import (
    Argument,
    Assignment,
    Block,
    CommandCall,
    Condition,
    Expression,
    FunctionDefinition,
    Leave,
    ListOf,
    Literal,
    Loop,
    Parameter,
    Pipeline,
    Statement,
    Try,
    Variable,
)

_COMMAND = re.compile(r"(?:[A-Za-z_%?][\w.\\:-]*|%|\?)")
_OPTION = re.compile(r"-([A-Za-z_]\w*)(:?)(?=[\s:;|)}\]'\"$@(,]|$)")
_WORD = re.compile(r"(?:[^\s;|(){}'\",&<>`]|`.)+")
_REDIRECTION = re.compile(r"([*\d]?)>{1,2}(?:&1|\s*(\$null|[^\s;|)}]+))")
_STREAMS = {"": "Output", "1": "Output", "2": "Error", "3": "Warning", "4": "Verbose", "5": "Debug", "6": "Information"}
_ASSIGNS = ("=", "+=", "-=", "*=")


def read(text: str) -> Block:
    """A whole script. Raises ScriptError."""
    reader = ScriptReader(text)
    block = reader.block_body("")
    if reader.peek():
        raise ScriptError(f"Unexpected token '{reader.rest.split()[0]}' in expression or statement.", "UnexpectedToken")
    return block


class ScriptReader(ExpressionReader):
    """Statements and commands over the characters of one script."""

    def block_body(self, end: str) -> Block:
        """The param block and the statements up to `end`, which is not taken."""
        begin = self.place
        self.blanks(lines=True)
        self.match(re.compile(r"(?:\[CmdletBinding\([^)]*\)\]\s*)", re.IGNORECASE))
        parameters = self._parameters() if self.keyword("param") else None
        statements = self.statements(end)
        return Block(statements, parameters, self.text[begin : self.place])

    def statements(self, end: str) -> tuple[Statement, ...]:
        """Statements until `end` or the end of the text."""
        found: list[Statement] = []
        while True:
            self.blanks(lines=True)
            if not self.peek() or (end and self.peek() == end):
                return tuple(found)
            found.append(self.statement())
            self.blanks()
            if self.peek() and self.peek() not in f";\n{end or ';'}":
                raise ScriptError(
                    f"Unexpected token '{(self.rest.split() or [''])[0]}' in expression or statement.",
                    "UnexpectedToken",
                )

    def block(self) -> Block:
        """``{ ... }``."""
        self.needs("{")
        body = self.block_body("}")
        self.needs("}")
        return body

    def statement(self) -> Statement:
        """One statement."""
        if self.keyword("if"):
            return self._condition()
        if kind := self.keyword("while", "foreach", "for", "do"):
            return self._loop(kind)
        if self.keyword("try"):
            return self._try()
        if self.keyword("function"):
            self.blanks()
            name = self.match(_COMMAND)
            if name is None:
                raise ScriptError("Missing name after function keyword.", "MissingNameAfterKeyword")
            parameters = self._parameters() if self.peek() == "(" else None
            body = self.block()
            return FunctionDefinition(name[0], body if parameters is None else replace(body, parameters=parameters))
        if kind := self.keyword("exit", "throw", "return", "break", "continue"):
            self.blanks()
            return Leave(kind, None if self.peek() in ("", ";", "\n", "}", ")") else self.statement())
        return self._assignment_or_pipeline()

    def _assignment_or_pipeline(self) -> Statement:
        begin = self.place
        if self.peek() in ("$", "["):
            target = self.postfix()
            self.blanks()
            operator = self.takes(*_ASSIGNS)
            if operator and self.peek() != "=":
                self.line_ends()
                return Assignment(target, operator, self.statement())
            if step := self.takes("++", "--"):
                return Assignment(target, f"{step[0]}=", Pipeline((Literal(1),)))
            self.place = begin
        return self.pipeline()

    def pipeline(self) -> Pipeline:
        """Stages with ``|`` between them."""
        stages = [self._stage(first=True)]
        while True:
            self.blanks()
            if self.peek(2) == "||" or not self.takes("|"):
                return Pipeline(tuple(stages))
            self.line_ends()
            stages.append(self._stage(first=False))

    def _stage(self, *, first: bool) -> Expression | CommandCall:
        self.blanks()
        if self.takes("&") or self.match(re.compile(r"\.(?=\s)")):
            self.blanks()
            return self._command(self.postfix() if self.peek() in "$({'\"[" else self._name())
        if _COMMAND.match(self.text, self.place):
            return self._command(self._name())
        if not first:
            raise ScriptError(
                "Expressions are only allowed as the first element of a pipeline.", "ExpressionsMustBeFirstInPipeline"
            )
        expression = self.expression()
        self.blanks()
        self._redirections()
        return expression

    def _name(self) -> Expression:
        found = self.match(_COMMAND)
        if found is None:
            raise ScriptError(f"Unexpected token '{self.rest[:20]}'.", "UnexpectedToken")
        return Literal(found[0])

    def _command(self, name: Expression) -> CommandCall:
        arguments: list[Argument] = []
        silenced: set[str] = set()
        merged = False
        while True:
            self.blanks()
            if self.peek() in ("", ";", "\n", "|", ")", "}", "&"):
                return CommandCall(name, tuple(arguments), frozenset(silenced), merged)
            gone, joined = self._redirections()
            if gone or joined:
                silenced |= gone
                merged |= joined
                continue
            arguments.append(self._argument())

    def _redirections(self) -> tuple[set[str], bool]:
        silenced: set[str] = set()
        merged = False
        while found := self.match(_REDIRECTION):
            if found[2] is None:
                merged = True
            elif found[2].casefold() != "$null":
                raise ScriptError("The simulated guest knows no redirection into a file.", "NotSimulated")
            else:
                silenced |= set(_STREAMS.values()) if found[1] == "*" else {_STREAMS[found[1]]}
            self.blanks()
        return silenced, merged

    def _argument(self) -> Argument:
        if found := self.match(_OPTION):
            value = self._value() if found[2] else None
            return Argument(value, found[1], found[0])
        if found := self.match(re.compile(r"@([A-Za-z_]\w*)")):
            return Argument(Variable(found[1]), splat=True)
        begin = self.place
        values = [self._value()]
        while self.match(re.compile(r"[ \t]*,\s*")):
            values.append(self._value())
        return Argument(values[0] if len(values) == 1 else ListOf(tuple(values)), raw=self.text[begin : self.place])

    def _value(self) -> Expression:
        """A value among a command's words: no operators, and a word that is no expression is a string."""
        self.blanks()
        if self.peek() in "$'\"(@{" and self.peek(2) != "$\\":
            begin = self.place
            value = self.postfix()
            if not self.peek() or self.peek() in " \t\n;|)},]`":
                return value
            self.place = begin
        begin = self.place
        number = self.number()
        if number is not None and (not self.peek() or self.peek() in " \t\n;|)},"):
            return Literal(number)
        self.place = begin
        word = self.match(_WORD)
        if word is None:
            raise ScriptError(f"Unexpected token '{self.rest[:20]}' in expression or statement.", "UnexpectedToken")
        return self.expanded_word(word[0])

    def _condition(self) -> Condition:
        branches: list[tuple[Statement | None, Block]] = [(self._in_brackets(), self.block())]
        while True:
            begin = self.place
            self.line_ends()
            if self.keyword("elseif"):
                branches.append((self._in_brackets(), self.block()))
            elif self.keyword("else"):
                branches.append((None, self.block()))
                return Condition(tuple(branches))
            else:
                self.place = begin
                return Condition(tuple(branches))

    def _in_brackets(self) -> Statement:
        self.needs("(")
        self.line_ends()
        inner = self.statement()
        self.needs(")")
        return inner

    def _loop(self, kind: str) -> Loop:
        if kind == "while":
            condition = self._in_brackets()
            return Loop(kind, self.block(), condition)
        if kind == "do":
            body = self.block()
            self.line_ends()
            until = self.keyword("while", "until")
            return Loop(f"do {until}", body, self._in_brackets())
        self.needs("(")
        self.line_ends()
        if kind == "foreach":
            variable = self.variable()
            self.blanks()
            if variable is None or not self.keyword("in"):
                raise ScriptError("Missing 'in' after variable in foreach loop.", "MissingInInForeach")
            self.blanks()
            source = self.statement()
            self.needs(")")
            return Loop(kind, self.block(), source, variable=variable)
        first = self.statement()
        self.needs(";")
        self.blanks()
        condition = self.statement()
        self.needs(";")
        self.blanks()
        after = self.statement()
        self.needs(")")
        return Loop(kind, self.block(), condition, first, after)

    def _try(self) -> Try:
        body, handler, at_end = self.block(), None, None
        while True:
            begin = self.place
            self.line_ends()
            if self.keyword("catch"):
                self.match(re.compile(r"\s*(?:\[[^\]]*\]\s*,?\s*)*"))
                handler = handler or self.block()
            elif self.keyword("finally"):
                at_end = self.block()
            else:
                self.place = begin
                return Try(body, handler, at_end)

    def _parameters(self) -> tuple[Parameter, ...]:
        self.needs("(")
        found: list[Parameter] = []
        while True:
            self.line_ends()
            if self.takes(")"):
                return tuple(found)
            kind = ""
            while attribute := self.match(re.compile(r"\[([\w.]+(?:\[\])?)(?:\([^)]*\))?\]\s*")):
                kind = kind if "(" in attribute[0] else attribute[1].casefold()
            variable = self.variable()
            if variable is None:
                raise ScriptError(
                    "Missing ')' in function parameter list.", "MissingEndParenthesisInFunctionParameterList"
                )
            self.line_ends()
            default = None
            if self.takes("="):
                self.line_ends()
                default = self.comma_free()
                self.line_ends()
            found.append(Parameter(variable.name, kind, default))
            self.takes(",")
