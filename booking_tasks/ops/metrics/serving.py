"""The process of `booking-tasks metrics`: an HTTP server that reads the database at each scrape."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from booking_tasks.kit.database import refuse_unsuitable_pooler
from booking_tasks.kit.heartbeat import touch_heartbeat
from booking_tasks.kit.logs import configure_logging, logger
from booking_tasks.kit.settings import settings
from booking_tasks.ops.metrics import families
from booking_tasks.ops.metrics.reading import Reading, read

log = logger(__name__)

_HEARTBEAT_SECONDS = 5.0


class LedgerCollector(Collector):
    """Reads the database for each scrape, one scrape at a time.

    When it cannot be read there are no series of it: an old value would look like a good one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering reads no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all series."""
        reading = self._reading()
        yield from families.of_exporter(up=reading is not None)
        if reading is not None:
            yield from families.of_reading(reading)

    def _reading(self) -> Reading | None:
        with self._lock:
            try:
                return read(settings())
            except SQLAlchemyError as error:
                log.warning("metrics.not_read", error=str(error))
                return None


def registry() -> CollectorRegistry:
    """Make the registry of the exporter, without series of this process."""
    made = CollectorRegistry(auto_describe=False)
    made.register(LedgerCollector())
    return made


def serve(host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT, and touch the heartbeat file meanwhile. Raises UnsuitablePoolerError."""
    configure_logging()
    refuse_unsuitable_pooler()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    server, thread = start_http_server(port, addr=host, registry=registry())
    log.info("metrics.started", port=port)
    touch_heartbeat(settings().heartbeat_file)
    while not stopped.wait(_HEARTBEAT_SECONDS):
        touch_heartbeat(settings().heartbeat_file)
    server.shutdown()
    server.server_close()
    thread.join()
