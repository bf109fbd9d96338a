"""A wire between clients and PostgreSQL that can be cut at the worst moment."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

_COMMIT = b"Q" + struct.pack("!i", 4 + len(b"COMMIT\0")) + b"COMMIT\0"
_READY = b"Z" + struct.pack("!i", 5)  # ReadyForQuery; a byte of state follows
_IN_PLAIN = (80877103, 80877104)  # "may we encrypt?" (SSL, GSS); the answer is one byte


class Listener:
    """A port on loopback, on which each connection is served in a thread of its own."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.take(client)

    def take(self, client: socket.socket) -> None:
        """Begin to serve a new connection."""
        threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """Serve a connection until it ends."""
        raise NotImplementedError


class Wire(Listener):
    """Forwards connections to a server on loopback; `url` is where clients find it.

    `cut` is asked at every COMMIT: when it says yes, the COMMIT is forwarded, the server's answer is
    waited for and thrown away, and both sides are hung up on. The next `refuse` connections after that
    are hung up on as well, as while a server is away.
    """

    def __init__(self, url: str, cut: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        host, _, name = url.rpartition("@")[2].partition("/")
        self._target = ("127.0.0.1", int(host.rpartition(":")[2]))
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/{name}"
        self.cut = cut
        self.refuse = 0
        self.cuts = 0

    def take(self, client: socket.socket) -> None:
        if self.refuse > 0:
            self.refuse -= 1
            client.close()
            return
        super().take(client)

    def serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            for one in (client, server):  # else each message waits for the acknowledgement of the last
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            silent = threading.Event()
            answered = threading.Event()
            back = threading.Thread(target=_pump, args=(server, client, silent, answered), daemon=True)
            back.start()
            with suppress(OSError):
                for message in _messages(client):
                    last = message == _COMMIT and self.cut()
                    if last:
                        silent.set()
                    server.sendall(message)
                    if last:
                        answered.wait(10)
                        self.cuts += 1
                        break
            for one in (server, client):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            back.join()


def _messages(client: socket.socket) -> Iterator[bytes]:
    """The client's messages, whole, until it hangs up (PostgreSQL, "Message Formats")."""
    begun = False
    while True:
        head = _exactly(client, 5 if begun else 4)
        length = struct.unpack("!i", head[-4:])[0]
        message = head + _exactly(client, length - 4)
        begun = begun or struct.unpack("!i", message[4:8])[0] not in _IN_PLAIN
        yield message


def _exactly(client: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        piece = client.recv(length - len(found))
        if not piece:
            raise ConnectionError("the client hung up")
        found += piece
    return found


def _pump(
    server: socket.socket, client: socket.socket, silent: threading.Event, answered: threading.Event
) -> None:
    """Carry the server's words to the client; once `silent`, only listen until it has answered."""
    heard = b""
    with suppress(OSError):
        while piece := server.recv(65536):
            if silent.is_set():
                heard += piece
                if _READY in heard:
                    answered.set()
            else:
                client.sendall(piece)
    answered.set()
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
