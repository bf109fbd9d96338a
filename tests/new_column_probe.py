"""Submit requests that set a new column, in a copy of the tree that has it, and print what is stored.

`python -m tests.new_column_probe URL COLUMN VALUE` prints the status and the value of each request.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from booking_tasks.assignment import service
from booking_tasks.context import Context
from booking_tasks.contracts import SubmitRequest
from booking_tasks.ops.migrate import migrate
from tests import builders
from tests.builders import NOW


def main(url: str, column: str, value: str) -> None:
    """Migrate an empty database, then submit one request that is booked at once and one that waits."""
    migrate(url)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with Session(engine) as db:
        service_type = builders.service_type(db)
        consultant = builders.consultant(db)
        builders.window(db, consultant.consultant_user_id, NOW + timedelta(days=1))
        for days in (1, 3):
            command = {
                "message_id": uuid4(),
                "actor": "mira",
                "request_id": uuid4(),
                "requester_user_id": uuid4(),
                "service_type_id": service_type.id,
                "preferred_start": NOW + timedelta(days=days),
                "preferred_end": NOW + timedelta(days=days, hours=4),
                column: value,
            }
            context = Context(now=NOW, actor="mira", entry_point="booking")
            service.submit(db, context, SubmitRequest.model_validate(command))
        for row in db.execute(text(f"SELECT status, {column} FROM consultation_requests ORDER BY 1 DESC")):
            print(*row)  # noqa: T201 - read by the test
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
