"""A real CalDAV server on loopback: Radicale, over TLS, with one user."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from booking_tasks.calendars.network import HttpsClient, NetworkLimits
from booking_tasks.ops.servers import free_port, wait_until
from tests.calendars.servers import CERTIFICATE

USER, PASSWORD = "okafor", "open sesame"

_CONFIG = """\
[server]
hosts = 127.0.0.1:{port}
ssl = True
certificate = {certificate}
key = {certificate}
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {folder}/collections
[logging]
level = error
"""


@dataclass(frozen=True)
class CalendarCollection:
    """One calendar on the server."""

    url: str

    def put(self, name: str, content: bytes) -> None:
        """Keep one entry, with its exceptions, under a name."""
        assert self._call("PUT", f"{self.url}{name}.ics", content) in {201, 204}

    def delete(self, name: str) -> None:
        """Remove one entry."""
        assert self._call("DELETE", f"{self.url}{name}.ics") == 200

    def make(self) -> None:
        """Make the calendar itself."""
        assert self._call("MKCALENDAR", self.url) == 201

    def _call(self, method: str, url: str, body: bytes | None = None) -> int:
        limits = NetworkLimits(private_hosts=("localhost",))
        with HttpsClient(self.url, USER, PASSWORD, limits) as https:
            return https.request(method, url, {"Content-Type": "text/calendar"}, body).status


@contextmanager
def radicale(folder: Path) -> Iterator[CalendarCollection]:
    """A running server with an empty calendar; SSL_CERT_FILE must name the tests' certificate."""
    port = free_port()
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
    (folder / "config").write_text(_CONFIG.format(port=port, certificate=CERTIFICATE, folder=folder))
    command = [sys.executable, "-m", "radicale", "--config", str(folder / "config")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            wait_until(lambda: _listens(port), "Radicale to listen")
            diary = CalendarCollection(f"https://localhost:{port}/{USER}/work/")
            diary.make()
            yield diary
        finally:
            server.terminate()
            server.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
