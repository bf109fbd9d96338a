"""A running worker with its broker and database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import redis
from psycopg.rows import dict_row

from booking_tasks.client import BookingClient
from booking_tasks.contracts import SearchSlots
from booking_tasks.kit.queues import QUEUES
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcess
from tests.messages.raw import search


class Rows:
    """The rows of a service's database, read by its owner."""

    def __init__(self, database: str) -> None:
        self.url = database
        self._database = psycopg.connect(database, autocommit=True, row_factory=dict_row)

    def __call__(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        cursor = self._database.execute(query.encode(), arguments)
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._database.close()


class RunningWorker:
    """One worker on a broker and a database of its own."""

    def __init__(self, broker: str, database: str, worker: ServiceProcess, slots: int) -> None:
        self.worker, self.slots, self.url = worker, slots, broker
        self.broker = redis.Redis.from_url(broker)
        self.rows = Rows(database)
        self._client = BookingClient(broker)

    def worker_runs(self) -> bool:
        return self.worker._process.poll() is None

    def close(self) -> None:
        self._client.close()
        self.broker.close()
        self.rows.close()

    def forget(self) -> None:
        self.rows("DELETE FROM dead_letters")
        self.rows("DELETE FROM parked_messages")

    def dead_letters(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM dead_letters ORDER BY received_at, id")

    def parked(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM parked_messages ORDER BY received_at, id")

    def push(self, queue: str, *elements: bytes) -> None:
        self.broker.lpush(queue, *elements)

    def dead_letter_for(self, queue: str, element: bytes) -> dict[str, Any]:
        """Push one bad message; its dead letter."""
        self.forget()
        self.push(queue, element)
        wait_until(lambda: len(self.dead_letters()) == 1, f"a dead letter for {element[:300]!r}", 60)
        return self.dead_letters()[0]

    def answers_a_good_message(self) -> bool:
        """Send a good message and wait for its answer, which a worker that is gone or stuck never gives."""
        question = SearchSlots.model_validate(search())
        return self._client.send(question, wait=True).outcome(timeout=60).result == "refused"

    def wait_for_empty_queues(self) -> None:
        """Until every queue is empty."""
        wait_until(lambda: not any(self.broker.llen(one) for one in QUEUES), "empty queues", 60)

    def wait_until_nothing_is_held(self) -> None:
        """Until the worker holds no message: each one still held would be a slot of its pool."""
        wait_until(lambda: self.broker.hlen("unacked") == 0, "every message acknowledged", 60)

    def wait_for_dead_letters(self, number: int) -> None:
        """Until so many dead letters are there."""
        wait_until(lambda: len(self.dead_letters()) == number, f"{number} dead letters", 30)

    @contextmanager
    def blocked(self, message_ids: list[str]) -> Iterator[Callable[[], None]]:
        """Commands with these ids stand still, each in its slot; yields a wait until all of them do."""
        insert = (
            "INSERT INTO inbox (message_id, task, body_hash, entry_point)"
            " VALUES (%s, 'of somebody else', '', 'booking')"
        )
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND starts_with(query, 'INSERT INTO inbox')"
        )

        def all_at_work() -> None:
            wait_until(lambda: len(self.rows(waiting)) == len(message_ids), "every slot at work", 60)

        with psycopg.connect(self.rows.url) as holder:
            for one in message_ids:
                holder.execute(insert.encode(), [one])  # whoever inserts it too waits for the end of this
            try:
                yield all_at_work
            finally:
                holder.rollback()

    def answer_to(self, task_id: str) -> Any:
        """The stored outcome of a message, waited for."""
        wait_until(lambda: self.result_of(task_id) is not None, f"an answer to {task_id}", 60)
        return self.result_of(task_id)

    def result_of(self, task_id: str) -> Any:
        """A stored result, or None."""
        found = self.broker.get(f"celery-task-meta-{task_id}")
        return json.loads(found)["result"] if found else None

    @staticmethod
    def fresh() -> str:
        return str(uuid4())
