"""Which test modules need a server, read from their source: `make unit` imports only the others.

The fixtures of a module are its own, those that it imports, and those of the conftest.py files above it.
tests/conftest.py deselects after the collection whatever was overlooked here.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

#: The fixtures that start a server; every other fixture that needs one gets it through these.
SERVER_FIXTURES = frozenset({"postgres", "system_postgres", "server", "valkey"})
ROOT = Path(__file__).parent.parent


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _arguments(function: ast.FunctionDef) -> set[str]:
    return {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}


def _is_fixture(function: ast.FunctionDef) -> bool:
    return any("fixture" in ast.unparse(one) for one in function.decorator_list)


def _is_autouse(function: ast.FunctionDef) -> bool:
    return any("autouse=True" in ast.unparse(one) for one in function.decorator_list)


@cache
def _fixtures(path: Path) -> dict[str, ast.FunctionDef]:
    """The fixtures of a module, also those that it imports from another module of the tests."""
    found: dict[str, ast.FunctionDef] = {}
    for node in _tree(path).body:
        match node:
            case ast.FunctionDef(name=name) if _is_fixture(node):
                found[name] = node
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("tests."):
                source = ROOT / (module.replace(".", "/") + ".py")
                imported = _fixtures(source) if source.exists() else {}
                found |= {one.name: imported[one.name] for one in names if one.name in imported}
    return found


def _known_fixtures(module: Path) -> dict[str, ast.FunctionDef]:
    folders = [folder for folder in reversed(module.parents) if folder.is_relative_to(ROOT / "tests")]
    known: dict[str, ast.FunctionDef] = {}
    for path in (*(folder / "conftest.py" for folder in folders), module):
        known |= _fixtures(path) if path.exists() else {}
    return known


def needs_server(module: Path) -> bool:
    """Whether a test of this module starts a server or a process of the service."""
    known = _known_fixtures(module)
    tree = _tree(module)
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    needed = {name for one in functions if one.name.startswith("test") for name in _arguments(one)}
    needed |= {name for name, function in known.items() if _is_autouse(function)}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="usefixtures"), args=names):
                needed |= {str(one.value) for one in names if isinstance(one, ast.Constant)}
            case ast.Attribute(attr="stack", value=ast.Attribute(attr="mark")):
                return True
    resolved: set[str] = set()
    while needed - resolved:
        name = (needed - resolved).pop()
        resolved.add(name)
        needed |= _arguments(known[name]) if name in known else set()
    return not SERVER_FIXTURES.isdisjoint(resolved)
