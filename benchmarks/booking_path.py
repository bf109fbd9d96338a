"""The code that one `submit_request` passes through when it is booked at once.

    python -m benchmarks.booking_path [--against CHECKOUT]

Runs the public task, with its inbox, twice on a new database of one consultant, and traces the second run:
the first one makes the settings and the engine. Prints each file and function of the package in the order in
which they are reached, the SQL statements and the functions of the database, and the longest function.

How it counts. A function is a `def` of the package that runs: lambdas, comprehensions and what libraries make
(the methods of a dataclass) are not counted, a function that runs twice is counted once. A file is one that
has such a function. A length is in lines, from `def` to the end, with the docstring and without decorators. A
statement is one that the driver is asked to run; BEGIN and COMMIT are not counted.

The booking path is the task of `assignment/tasks.py` (one file, one function) and everything that runs until
its use case returns, unless it has run before. What runs before and after that is the entry that all commands
share (inbox, transaction, hooks of the engine, wake-up messages): it is printed too, without a `*`, and the
last sum includes it.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import event
from sqlalchemy.engine import Engine

_HERE = Path(__file__).resolve()
_SERVICE_TYPE = UUID(int=1)
_REPORT_SECONDS = 0.5
_TASK = ("assignment/tasks.py", "submit_request")
_FILL = """
    INSERT INTO consultation_service_types (id, name, default_duration_minutes)
    VALUES (%(service)s, 'any', 30);
    INSERT INTO consultant_profiles (consultant_user_id) VALUES (%(consultant)s);
    INSERT INTO consultant_availability_slots (consultant_user_id, start_time, end_time, source)
    VALUES (%(consultant)s, %(start)s, %(end)s, 'rules');
"""


@dataclass
class Trace:
    """What one run passed through: (file, function) and its length in lines, in order of first entry.

    `path` has the functions of the booking path, `entry` those of the shared entry around it.
    """

    package: Path
    path: dict[tuple[str, str], int] = field(default_factory=lambda: {_TASK: 1})
    entry: dict[tuple[str, str], int] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    database_functions: list[str] = field(default_factory=list)
    _use_case: FrameType | None = None
    _has_returned: bool = False
    _engine: Engine | None = None

    @property
    def files(self) -> list[str]:
        """The files of the booking path, in order of first entry."""
        return list(dict.fromkeys(file for file, _ in self.path))

    @property
    def all_files(self) -> list[str]:
        """The files of the entry and of the booking path."""
        return list(dict.fromkeys(file for file, _ in self.entry | self.path))

    @property
    def longest(self) -> tuple[str, str]:
        """The file and the name of the longest function of the booking path."""
        return max(self.path, key=self.path.__getitem__)

    def observe(self, frame: FrameType, event_name: str, _: Any) -> None:
        """A profile function (sys.setprofile): record each function of the package that begins."""
        if event_name == "call":
            self._enter(frame)
        elif event_name == "return" and frame is self._use_case:
            self._has_returned = True

    def _enter(self, frame: FrameType) -> None:
        code = frame.f_code
        path = Path(code.co_filename)
        if code.co_name.startswith("<") or not path.is_relative_to(self.package):
            return
        file = str(path.relative_to(self.package))
        if self._use_case is None and file.startswith("assignment"):
            self._use_case = frame
        if (file, code.co_qualname) not in self.entry | self.path:
            functions = self.path if self._use_case and not self._has_returned else self.entry
            functions[file, code.co_qualname] = _length(path, code.co_firstlineno)

    def record_statement(self, *arguments: Any) -> None:
        """An event of the engine: record the statement that is sent."""
        self._engine = arguments[0].engine
        self.statements.append(" ".join(str(arguments[2]).split()))

    def end_connections(self, calls: Callable[[], dict[str, int]]) -> dict[str, int]:
        """The calls that the database has counted: a connection reports them when it ends."""
        if self._engine is not None:
            self._engine.dispose()
        time.sleep(_REPORT_SECONDS)
        return calls()


def _length(path: Path, first_line: int) -> int:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            begins = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if begins == first_line and node.end_lineno is not None:
                return node.end_lineno - node.lineno + 1
    return 0


def trace(database_url: str, calls: Callable[[], dict[str, int]] = dict) -> Trace:
    """Trace one request on a migrated, empty database; DATABASE_URL and REDIS_URL name the servers.

    `calls` returns how often each function of the database has run.
    """
    import booking_tasks
    from booking_tasks.assignment.tasks import submit_request

    start = (datetime.now(UTC) + timedelta(days=1)).replace(hour=8, minute=0, second=0, microsecond=0)
    end = start + timedelta(hours=8)
    _fill(database_url, start, end)
    found = Trace(Path(booking_tasks.__file__).parent)
    event.listen(Engine, "before_cursor_execute", found.record_statement)
    try:
        _submit(submit_request, start, end)
        before = found.end_connections(calls)
        found.statements.clear()
        sys.setprofile(found.observe)
        outcome = _submit(submit_request, start, end)
    finally:
        sys.setprofile(None)
        event.remove(Engine, "before_cursor_execute", found.record_statement)
    assert outcome["status"] == "scheduled", outcome
    after = found.end_connections(calls)
    found.database_functions += sorted(name for name, count in after.items() if count > before.get(name, 0))
    return found


def _fill(database_url: str, start: datetime, end: datetime) -> None:
    values = {"service": _SERVICE_TYPE, "consultant": uuid4(), "start": start, "end": end}
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(_FILL, values)


def _submit(task: Any, start: datetime, end: datetime) -> dict[str, Any]:
    command = {
        "message_id": str(uuid4()),
        "actor": "trace",
        "request_id": str(uuid4()),
        "requester_user_id": str(uuid4()),
        "service_type_id": str(_SERVICE_TYPE),
        "preferred_start": start.isoformat(),
        "preferred_end": end.isoformat(),
    }
    outcome: dict[str, Any] = task.apply(args=[command], throw=True).get()
    return outcome


def report(found: Trace) -> str:
    """The trace as text."""
    lines = [f"{length:4}   {file:34} {name}" for (file, name), length in found.entry.items()]
    lines += [f"{length:4} * {file:34} {name}" for (file, name), length in found.path.items()]
    lines += [f" SQL   {statement[:110]}" for statement in found.statements]
    lines += [f" SQL   function {name}" for name in found.database_functions]
    file, name = found.longest
    lines += [
        f"booking path: {len(found.files)} files, {len(found.path)} functions;"
        f" the longest has {found.path[found.longest]} lines: {file} {name}",
        f"with the entry: {len(found.all_files)} files, {len(found.entry | found.path)} functions",
        f"{len(found.statements)} SQL statements, {len(found.database_functions)} functions of the database",
    ]
    return "\n".join(lines)


def _calls(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How often each function of the database has run."""
    return dict(connection.execute("SELECT funcname, calls FROM pg_stat_user_functions").fetchall())


def main() -> int:
    """Trace this checkout, or another one in a process of its own."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--against", type=Path, help="trace this other checkout")
    chosen = options.parse_args()
    if chosen.against is not None:
        environment = os.environ | {"PYTHONPATH": str(chosen.against.resolve())}
        return subprocess.run([sys.executable, str(_HERE)], env=environment, cwd="/", check=False).returncode
    from booking_tasks.ops.migrate import migrate
    from booking_tasks.ops.servers import Postgres, Valkey

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        server = stack.enter_context(Postgres(folder / "postgres", durable=False))
        broker = stack.enter_context(Valkey(folder / "valkey", durable=False))
        os.environ |= {"DATABASE_URL": server.url(), "REDIS_URL": broker.url()}
        migrate(server.url())
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET track_functions = 'all'")
            connection.execute("SELECT pg_reload_conf()")
            found = trace(server.url(), lambda: _calls(connection))
        sys.stdout.write(report(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
