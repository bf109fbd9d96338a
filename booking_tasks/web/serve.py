"""Run the web pages with uvicorn in one process; several such processes may run side by side."""

from __future__ import annotations

import signal
from collections.abc import Callable

import uvicorn

from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.logs import configure_logging, logger
from booking_tasks.kit.settings import settings, unknown_settings
from booking_tasks.kit.signed_links import Links
from booking_tasks.web.app import Failures, make_app
from booking_tasks.web.connections import DeadlineProtocol

log = logger(__name__)

#: The limit of connections and of requests at once; further ones get status 503. Much fewer threads use the
#: database, and an idle connection costs little until its deadline.
_MAX_CONCURRENT = 500


def serve(host: str, port: int, failures: Failures, examine_servers: Callable[[], None]) -> None:
    """Examine the servers, then listen until a signal ends the process.

    Raises SettingsError when links are not configured, and the errors of the examination.
    """
    links = settings().links
    if links is None:
        raise SettingsError("BOOKING_PUBLIC_URL: is needed here: without it no mail contains a link")
    configure_logging()
    if names := unknown_settings():
        log.warning("settings.unknown", names=names)
    examine_servers()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)  # uvicorn raises the signal again after it has answered all requests
    server(links, host, port, failures).run()


def _exit(*_: object) -> None:
    raise SystemExit(0)


def server(links: Links, host: str, port: int, failures: Failures) -> uvicorn.Server:
    """Make the server: small requests that arrive in time, and no address of a page in its log."""
    return uvicorn.Server(
        uvicorn.Config(
            make_app(links, failures),
            http=DeadlineProtocol,
            host=host,
            port=port,
            log_config=None,
            access_log=False,  # an address is a secret
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MAX_CONCURRENT,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=8192,
        )
    )
