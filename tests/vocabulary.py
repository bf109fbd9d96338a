"""Search the repository for the words that its vocabulary refuses; `python -m tests.vocabulary` prints them.

REFUSED_IN_TEXT is refused everywhere, in text too. REFUSED_IN_NAMES is refused as a whole part of a name
that this repository defines: a function, class, argument, variable, attribute, module, column, setting,
option, log key, metric label or wire name. Names that are only imported, and keyword arguments of libraries,
are not definitions.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

REFUSED_IN_TEXT = frozenset(
    {
        *("occasion", "doorbell", "happening", "journey", "note_freed"),
        *("nemesis", "scenery", "forgetful", "forgiving", "standins"),
    }
)
REFUSED_IN_NAMES = frozenset(
    {
        *("kind", "door", "given", "give", "told", "said", "look", "asked", "wish", "wanted"),
        *("because", "fact", "standing", "words", "house", "letter", "story", "mend"),
    }
)
#: Terms of the field that contain a refused part.
ACCEPTED = {("give", "up"), ("dead", "letter")}
#: History, the lists themselves and their test, and the benchmark that knows the names of an older checkout.
NOT_READ = (
    *("CHANGELOG.md", "docs/decisions/", "requirements"),
    *("tests/vocabulary.py", "tests/test_code_style.py", "benchmarks/turns.py"),
)

_TEXT = re.compile(
    "|".join(rf"{word}(?!al)" if word == "occasion" else word for word in sorted(REFUSED_IN_TEXT)),
    re.IGNORECASE,
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTION = re.compile(r"--[a-z][a-z-]+")
_SETTING = re.compile(r"BOOKING_[A-Z_]+")
_SQL = re.compile(
    r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|GRANT|RETURNING|WHERE|FROM|IS NULL)\b"
)
_SQL_QUOTED = re.compile(r"--[^\n]*|'(?:[^']|'')*'")
_TEMPLATE = re.compile(r"{[{%](.*?)[%}]}", re.DOTALL)
_LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "bind", "bind_contextvars", "dict"}
_LOOKUPS = {"get", "pop", "setdefault"}


class Finding(NamedTuple):
    """A refused word in a name or a text."""

    path: str
    line: int
    name: str


def parts(name: str) -> list[str]:
    """The parts of a name between underscores, hyphens, dots and capitals, in lower case."""
    return [part.lower() for part in _PART.findall(name)]


def is_refused(name: str) -> bool:
    """Whether a name has a refused part that no accepted term explains."""
    found = parts(name)
    accepted = {
        index
        for index, pair in enumerate(pairwise(found))
        if pair in ACCEPTED
        for index in (index, index + 1)
    }
    return any(part in REFUSED_IN_NAMES and index not in accepted for index, part in enumerate(found))


def _arguments(node: ast.arguments) -> Iterator[ast.arg]:
    yield from (*node.posonlyargs, *node.args, *node.kwonlyargs)
    yield from (one for one in (node.vararg, node.kwarg) if one is not None)


def _strings(nodes: list[ast.expr | None]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            yield node.lineno, node.value


def _defined_by_statement(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield node.lineno, name
        case ast.arguments():
            yield from ((one.lineno, one.arg) for one in _arguments(node))
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield node.lineno, name
        case ast.alias(asname=str(name)):
            yield node.lineno, name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield node.lineno, name


def _defined_by_value(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Names that are strings: keys of dictionaries, members of enums and literals, keys of log entries."""
    match node:
        case ast.Dict(keys=keys):
            yield from _strings(keys)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=elements)):
            yield from _strings(list(elements))
        case ast.Subscript(slice=key):
            yield from _strings([key])
        case ast.ClassDef(body=body):
            yield from _strings([one.value for one in body if isinstance(one, ast.Assign)])
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=arguments, keywords=keywords):
            if name in _LOGGING:
                yield from ((node.lineno, one.arg) for one in keywords if one.arg)
            if name in _LOOKUPS:
                yield from _strings(list(arguments[:1]))


def _documentation(tree: ast.AST) -> set[int]:
    """The identities of the docstrings' nodes."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _in_strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    documentation = _documentation(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in documentation:
            continue
        if _SQL.search(node.value):
            for line, name in in_sql(node.value):
                yield node.lineno + line - 1, name
        for name in _OPTION.findall(node.value) + _SETTING.findall(node.value):
            yield node.lineno, name
        if re.fullmatch(r"[a-z]+([_.-][a-z]+)+", node.value):
            yield node.lineno, node.value


def in_python(text: str) -> Iterator[tuple[int, str]]:
    """The names that a Python module defines, each with its line."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        yield from _defined_by_statement(node)
        yield from _defined_by_value(node)
    yield from _in_strings(tree)


def in_sql(text: str) -> Iterator[tuple[int, str]]:
    """Every identifier of SQL text outside comments and quoted strings, each with its line."""
    bare = _SQL_QUOTED.sub(lambda quoted: "\n" * quoted[0].count("\n"), text)
    for number, line in enumerate(bare.splitlines(), 1):
        yield from ((number, name) for name in _NAME.findall(line))


def in_other(text: str) -> Iterator[tuple[int, str]]:
    """Settings and options in any other file, and the identifiers of a template's expressions."""
    for number, line in enumerate(text.splitlines(), 1):
        for name in _SETTING.findall(line) + _OPTION.findall(line):
            yield number, name
    for found in _TEMPLATE.finditer(text):
        start = text.count("\n", 0, found.start()) + 1
        yield from ((start, name) for name in _NAME.findall(re.sub(r"'[^']*'|\"[^\"]*\"", "", found[1])))


def in_code_spans(text: str) -> Iterator[tuple[int, str]]:
    """The names in a page's code spans."""
    for number, line in enumerate(text.splitlines(), 1):
        for span in re.findall(r"`([^`\n]+)`", line):
            if re.fullmatch(r"[\w.:-]+", span):
                yield number, span


def _names(path: str, text: str) -> Iterator[tuple[int, str]]:
    yield from ((1, name) for name in Path(path).with_suffix("").parts)
    suffix = Path(path).suffix
    if suffix == ".py":
        yield from in_python(text)
    elif suffix == ".sql":
        yield from in_sql(text)
    else:
        yield from in_other(text)
    if suffix == ".md":
        yield from in_code_spans(text)


def read_files(root: Path) -> Iterator[tuple[str, str]]:
    """Path and text of each file of the repository that is read for refused words."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for path in sorted(set(listed.stdout.splitlines())):
        file = root / path
        if path.startswith(NOT_READ) or not file.is_file():
            continue
        content = file.read_bytes()
        if b"\0" not in content:
            yield path, content.decode("utf-8", errors="replace")


def refused_in_text(root: Path) -> list[Finding]:
    """Every use of a word that is refused in text too."""
    return [
        Finding(path, number, found)
        for path, text in read_files(root)
        for number, line in enumerate([path, *text.splitlines()])
        for found in _TEXT.findall(line)
    ]


def refused_in_names(root: Path) -> list[Finding]:
    """Every definition of a name with a refused part, once a line."""
    found = {
        Finding(path, line, name)
        for path, text in read_files(root)
        for line, name in _names(path, text)
        if is_refused(name)
    }
    return sorted(found)


def report(root: Path, prefixes: tuple[str, ...] = ("",)) -> str:
    """Every finding below these paths, and how many each file has."""
    findings = sorted(
        one for one in refused_in_text(root) + refused_in_names(root) if one.path.startswith(prefixes)
    )
    counts = Counter(one.path for one in findings)
    lines = [f"{one.path}:{one.line}: {one.name}" for one in findings]
    lines += [f"{count:5} {path}" for path, count in sorted(counts.items())]
    return "\n".join([*lines, f"{len(findings):5} in all"])


if __name__ == "__main__":
    sys.stdout.write(report(Path.cwd(), tuple(sys.argv[1:]) or ("",)) + "\n")
