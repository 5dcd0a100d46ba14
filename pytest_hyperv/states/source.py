"""What a recipe is made of: its own source, and all of its module that it uses, directly or through something else.

Layout, comments, docstrings and decorators of the recipe do not count. A name of the module that holds plain data
counts by its value; a function, class or anything else by its source, and by what that uses in turn. Of another module
only the line that imports from it counts.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from pathlib import Path

from pytest_hyperv.errors import StateError

PLAIN = (str, bytes, int, float, complex, bool, type(None))
Definitions = dict[str, list[tuple[ast.AST, str]]]
"""By name: the nodes that bind it, and their source."""


def source_parts(recipe: types.FunctionType) -> dict[str, str]:
    """What counts of a recipe, by the names it goes by in its module. Raises StateError when it cannot be read."""
    module = recipe.__code__.co_filename
    try:
        definitions = _definitions(Path(module))
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(recipe, str(error)) from error
    if recipe.__name__ not in definitions:
        raise _unreadable(recipe, f"{module} defines no {recipe.__name__}")
    parts: dict[str, str] = {}
    wanted = [recipe.__name__]
    while wanted:
        name = wanted.pop()
        if name in parts:
            continue
        value = None if name == recipe.__name__ else _plain(recipe.__globals__.get(name, ...))
        if value is not None:
            parts[name] = value
        elif name in definitions:
            parts[name] = "\n".join(source for _, source in definitions[name])
            wanted += [used for node, _ in definitions[name] for used in _names_read(node)]
    return parts


def _unreadable(recipe: types.FunctionType, why: str) -> StateError:
    return StateError(
        f"the source of state {recipe.__name__} cannot be read: {why}",
        hint="a recipe must be a function in a file, for its text tells when the state has to be built anew.",
        state=recipe.__name__,
    )


def _plain(value: object) -> str | None:
    """A text that is equal for equal plain data, None for anything else."""
    if type(value) in PLAIN:
        return repr(value)
    if type(value) in (list, tuple, set, frozenset):
        assert isinstance(value, list | tuple | set | frozenset)
        inside = [_plain(each) for each in value]
        if isinstance(value, set | frozenset):
            inside.sort(key=str)
    elif type(value) is dict:
        inside = [_plain(each) for pair in value.items() for each in pair]
    else:
        return None
    return None if None in inside else f"{type(value).__name__}({', '.join(map(str, inside))})"


def _definitions(path: Path) -> Definitions:
    tree = _WithoutDocstrings().visit(ast.parse(path.read_bytes()))
    found: Definitions = {}
    for name, node, source in _bound(tree.body):
        found.setdefault(name, []).append((node, source))
    return found


def _bound(statements: list[ast.stmt]) -> Iterator[tuple[str, ast.AST, str]]:
    """The names that statements of a module bind, those within if, for, with and try included."""
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = f"from {'.' * node.level}{node.module or ''} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                yield (alias.asname or alias.name).partition(".")[0], alias, f"{origin}import {ast.unparse(alias)}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, *_told(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from (
                    (each.id, node, ast.unparse(node)) for each in ast.walk(target) if isinstance(each, ast.Name)
                )
        else:
            inner = (getattr(node, field, []) for field in ("body", "orelse", "finalbody", "handlers"))
            for block in inner:
                for each in block:
                    yield from _bound(each.body if isinstance(each, ast.ExceptHandler) else [each])


def _told(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> tuple[ast.AST, str]:
    """A definition and its source. A state's own decorator is left out: what it says counts elsewhere."""
    node.decorator_list = [each for each in node.decorator_list if not _declares_state(each)]
    return node, ast.unparse(node)


def _declares_state(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2] == "hyperv_state"


def _names_read(node: ast.AST) -> Iterator[str]:
    return (each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load))


class _WithoutDocstrings(ast.NodeTransformer):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Drop what only says what a function or class is for."""
        super().generic_visit(node)
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
        return node
