"""Running the web room (uvicorn), one process; another one beside it does no harm."""

from __future__ import annotations

import signal

import uvicorn

from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.logs import configure_logging
from booking_tasks.kit.settings import settings
from booking_tasks.kit.signed_links import Links
from booking_tasks.web.app import make_app

#: Answers in hand at once; the next are told to come again (503).
_AT_ONCE = 100


def serve(host: str, port: int) -> None:
    """Listen until told to stop. Raises SettingsError when there are no links to serve."""
    links = settings().links
    if links is None:
        raise SettingsError("BOOKING_PUBLIC_URL: is needed here: without it no letter carries a link")
    configure_logging()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ended)  # the server raises anew what ended it, once all is answered
    server(links, host, port).run()


def _ended(*_: object) -> None:
    raise SystemExit(0)


def server(links: Links, host: str, port: int) -> uvicorn.Server:
    """The room behind its server: small requests, few at once, and nothing in its log that opens a page."""
    return uvicorn.Server(
        uvicorn.Config(
            make_app(links),
            host=host,
            port=port,
            log_config=None,
            access_log=False,  # an address is a secret
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_AT_ONCE,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=8192,
        )
    )
