"""What PostgreSQL says is in a database, as text that can be compared to the letter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg

Catalogue = dict[str, str]

_OWN = """
    n.nspname = 'public'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {oid} AND d.deptype = 'e')
"""
_NO_VERSION = "c.relname <> 'alembic_version'"

#: Kind of object -> a query for (name, definition).
_QUERIES: dict[str, str] = {
    "extension": "SELECT extname, '' FROM pg_extension WHERE extname <> 'plpgsql'",
    "relation": f"""
        SELECT c.relname,
               concat_ws(' ', c.relkind::text, c.relpersistence::text, c.relrowsecurity, c.reloptions)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {_OWN.format(oid="c.oid")} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {_NO_VERSION}
    """,
    "column": f"""
        SELECT c.relname || '.' || a.attname,
               concat_ws(
                   ' ',
                   row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
                   format_type(a.atttypid, a.atttypmod),
                   CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   nullif(a.attcollation::regcollation::text, '"default"'),
                   CASE WHEN a.attidentity <> '' THEN 'IDENTITY ' || a.attidentity::text END,
                   CASE WHEN a.attgenerated <> '' THEN 'GENERATED ' || a.attgenerated::text END,
                   'DEFAULT ' || pg_get_expr(e.adbin, e.adrelid)
               )
          FROM pg_attribute a
          JOIN pg_class c ON c.oid = a.attrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
         WHERE {_OWN.format(oid="c.oid")} AND c.relkind IN ('r', 'p', 'v', 'm') AND {_NO_VERSION}
           AND a.attnum > 0 AND NOT a.attisdropped
    """,
    "constraint": f"""
        SELECT c.relname || '.' || o.conname, pg_get_constraintdef(o.oid)
          FROM pg_constraint o
          JOIN pg_class c ON c.oid = o.conrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {_OWN.format(oid="c.oid")} AND {_NO_VERSION}
    """,
    "index": f"""
        SELECT i.relname, pg_get_indexdef(i.oid)
          FROM pg_index x
          JOIN pg_class i ON i.oid = x.indexrelid
          JOIN pg_class c ON c.oid = x.indrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {_OWN.format(oid="c.oid")} AND {_NO_VERSION}
    """,
    "sequence": """
        SELECT sequencename, concat_ws(' ', data_type, start_value, min_value, max_value, increment_by, cycle)
          FROM pg_sequences WHERE schemaname = 'public'
    """,
    "function": f"""
        SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid)
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE {_OWN.format(oid="p.oid")} AND p.prokind IN ('f', 'p')
    """,
    "view": f"""
        SELECT c.relname, pg_get_viewdef(c.oid)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {_OWN.format(oid="c.oid")} AND c.relkind IN ('v', 'm')
    """,
    "trigger": f"""
        SELECT c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
          FROM pg_trigger t
          JOIN pg_class c ON c.oid = t.tgrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE {_OWN.format(oid="c.oid")} AND NOT t.tgisinternal
    """,
    "type": f"""
        SELECT t.typname, t.typtype::text
          FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
         WHERE {_OWN.format(oid="t.oid")} AND t.typtype IN ('e', 'd', 'r')
    """,
}


def catalogue(connection: psycopg.Connection[Any]) -> Catalogue:
    """Every object of the schema: kind and name -> PostgreSQL's own definition."""
    found: Catalogue = {}
    for object_type, query in _QUERIES.items():
        for name, definition in connection.execute(query.encode()):
            found[f"{object_type} {name}"] = definition
    return found


def catalogue_of(url: str) -> Catalogue:
    """The catalogue of the database at this URL."""
    with psycopg.connect(url) as connection:
        return catalogue(connection)


def differences(one: Catalogue, other: Catalogue) -> list[str]:
    """One line for each object that is missing on a side or defined otherwise."""
    return [
        f"{name}: {one.get(name, 'missing')!r} is not {other.get(name, 'missing')!r}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """An empty database on the server of this maintenance URL, dropped afterwards; its URL."""
    name = f"booking_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield server_url.rpartition("/")[0] + "/" + name
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def database_of_models(server_url: str) -> Iterator[str]:
    """A fresh database made by the models alone, without any migration; its URL."""
    from sqlalchemy import create_engine

    from booking_tasks.models import Base

    with fresh_database(server_url) as url:
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
        Base.metadata.create_all(engine)
        engine.dispose()
        yield url


def run_script(connection: psycopg.Connection, script: str) -> None:
    """One statement at a time, as psql does: indexes that are made concurrently want it so."""
    statement = ""
    for part in script.split(";\n\n"):
        statement += part
        tags = re.findall(r"\$\w*\$", statement)
        if any(tags.count(tag) % 2 for tag in tags):
            statement += ";\n\n"  # the end of a line inside a body in dollar quotes
            continue
        if statement.strip():
            connection.execute(statement.encode())
        statement = ""
