"""What a step of the migrations does that the release before it cannot live with, or has to wait for.

Read from its SQL. A table that the step itself makes is nobody's yet: anything may be done to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO

from alembic import command

from booking_tasks.ops.migrate import alembic_config

_TAKES_AWAY = re.compile(
    r"\bDROP\s+(TABLE|COLUMN|VIEW|FUNCTION|TYPE|DEFAULT)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b"
    r"|\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b"
    r"|\bADD\s+COLUMN\s+(?![^,;]*\bDEFAULT\b)[^,;]*\bNOT\s+NULL\b",
    re.IGNORECASE,
)
#: What the release before may name in its own statements (ON CONFLICT), unless it is there again.
_DROPPED = re.compile(
    r"\bDROP\s+(?:INDEX\s+(?:CONCURRENTLY\s+)?|CONSTRAINT\s+)(?:IF\s+EXISTS\s+)?(\w+)", re.IGNORECASE
)
_THERE_AGAIN = re.compile(
    r"\bADD\s+CONSTRAINT\s+(\w+)|\bINDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\s+ON\b",
    re.IGNORECASE,
)
_MADE = re.compile(r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE)
_INDEX = re.compile(
    r"\bCREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+(?P<beside>CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?"
    r"(?:\w+\s+)?ON\s+(?:ONLY\s+)?(?P<table>\w+)",
    re.IGNORECASE,
)
_ALTER = re.compile(r"\bALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?(\w+)(.*)", re.IGNORECASE | re.DOTALL)
#: Of constraints only these can be added without a look at the rows that are there.
_LATER = re.compile(r"\s*ADD\s+(?:CONSTRAINT\s+\w+\s+)?(?:CHECK|FOREIGN\s+KEY)\b", re.IGNORECASE)
_AT_ONCE = re.compile(r"\s*ADD\s+(?:CONSTRAINT\s+\w+\s+)?(?:UNIQUE|EXCLUDE|PRIMARY\s+KEY)\b", re.IGNORECASE)
_IN_A_COLUMN = re.compile(
    r"\s*ADD\s+(?:COLUMN\s+)?(?!CONSTRAINT\b)\w+\s.*\b(?:UNIQUE|CHECK|REFERENCES|PRIMARY\s+KEY)\b",
    re.IGNORECASE | re.DOTALL,
)
_NOT_VALID = re.compile(r"\bNOT\s+VALID\s*$", re.IGNORECASE)
#: What a function does is not done by the step; what an anonymous block does is.
_BODY = re.compile(r"\bAS\s+\$(\w*)\$.*?\$\1\$", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*")


def upgrade_sql(before: str, revision: str) -> str:
    """The statements of a step's way forward, as an offline run prints them."""
    config = alembic_config()
    config.output_buffer = StringIO()
    command.upgrade(config, f"{before}:{revision}", sql=True)
    return config.output_buffer.getvalue()


def harms(sql: str) -> list[str]:
    """What the release before cannot live with: each in the words of the statement."""
    plain = _COMMENT.sub("", _BODY.sub("AS body", sql))
    made = {one.lower() for one in _MADE.findall(plain)}
    again = {one[1] or one[2] for one in _THERE_AGAIN.finditer(plain)}
    found = [one[0] for one in _DROPPED.finditer(plain) if one[1] not in again]
    for statement in plain.split(";"):
        found += [one[0] for one in _TAKES_AWAY.finditer(statement)]
        found += _indexes(statement, made)
        found += _constraints(statement, made)
    return [" ".join(one.split()) for one in found]


def _indexes(statement: str, made: set[str]) -> Iterator[str]:
    """Writers wait for an index that is not made beside them; a unique one refuses what they write."""
    for one in _INDEX.finditer(statement):
        if one["table"].lower() not in made and (one["unique"] or not one["beside"]):
            yield one[0]


def _constraints(statement: str, made: set[str]) -> Iterator[str]:
    """Constraints for which all rows are read while nobody may write, or that rows of before may break."""
    altered = _ALTER.search(statement)
    if altered is None or altered[1].lower() in made:
        return
    for clause in _clauses(altered[2]):
        if _LATER.match(clause):
            if not _NOT_VALID.search(clause.rstrip()):
                yield clause
        elif _AT_ONCE.match(clause) or _IN_A_COLUMN.match(clause):
            yield clause


def _clauses(text: str) -> Iterator[str]:
    """The parts between the commas that stand in no parenthesis."""
    depth, begin = 0, 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield text[begin:place]
            begin = place + 1
    yield text[begin:]
