"""Rules about source text that no linter has: each function reads a module and yields (line, finding)."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set

_ENDINGS = {"commit", "rollback", "begin", "begin_nested"}
_PREDICATES = ("is_", "has_", "can_", "_is_", "_has_", "_can_")
#: Attributes whose values are members of an enum.
_ENUM_ATTRIBUTES = {
    *("status", "state", "code", "refusal", "answer", "resolution"),
    *("job_type", "feed_type", "credit_type", "evidence_type", "notice_type"),
}

Found = Iterator[tuple[int, str]]


def imported_modules(text: str) -> set[str]:
    """The modules that a module imports, and the names that it imports from them, fully qualified."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                found |= {one.name for one in names}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {f"{module}.{one.name}" for one in names}
    return found


def transaction_calls(text: str) -> Found:
    """Calls that open or end a transaction, except savepoints that are context managers."""
    tree = ast.parse(text)
    managed = {
        id(item.context_expr)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.context_expr, ast.Call)
        and isinstance(item.context_expr.func, ast.Attribute)
        and item.context_expr.func.attr == "begin_nested"
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in _ENDINGS and id(node) not in managed:
                yield node.lineno, ast.unparse(node.func)


def long_functions(text: str, most: int) -> Found:
    """Functions with more than `most` lines, decorators not counted."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > most:
                yield node.lineno, f"{node.name} has {length} lines"


def writing_predicates(text: str) -> Found:
    """Predicates that assign an attribute or an item of something they were called with."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith(_PREDICATES):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(
                    inner.ctx, ast.Store | ast.Del
                ):
                    yield inner.lineno, f"{node.name} assigns {ast.unparse(inner)}"


def class_names(text: str) -> Found:
    """The classes that a module defines at its first level."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            yield node.lineno, node.name


def bare_comparisons(text: str, members: Set[str]) -> Found:
    """Comparisons of a status, state or type with a string where the enum has a member for it."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        if not any(_attribute(side) in _ENUM_ATTRIBUTES for side in sides):
            continue
        for constant in _constants(sides):
            if constant.value in members:
                yield constant.lineno, f"{ast.unparse(node)} has the bare string {constant.value!r}"


def _attribute(node: ast.expr) -> str | None:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return None


def _constants(sides: list[ast.expr]) -> Iterator[ast.Constant]:
    for side in sides:
        elements = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
        yield from (one for one in elements if isinstance(one, ast.Constant) and isinstance(one.value, str))
