"""Three RabbitMQ nodes on loopback that form one cluster, and an address that leads to one that is up."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.faults.proxy import Listener
from tests.rabbitmq_server import PortMapper, RabbitMQ


class Relay(Listener):
    """Forwards each connection to the first server that takes it, as a balancer before a cluster does."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__()
        self._ports = ports

    def serve(self, client: socket.socket) -> None:
        server = self._connected()
        if server is None:
            client.close()
            return
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_pump, args=(one, other), daemon=True).start()

    def _connected(self) -> socket.socket | None:
        for port in self._ports:
            with suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), timeout=5)
        return None


def _pump(source: socket.socket, target: socket.socket) -> None:
    source.settimeout(None)
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_cluster(folder: Path, size: int = 3) -> Iterator[list[RabbitMQ]]:
    """The nodes, all running; they start one after another, so that each finds those before it."""
    cookie = secrets.token_hex(16)
    with PortMapper(folder) as mapper, ExitStack() as started:
        nodes = [RabbitMQ(folder / f"node{number}", mapper=mapper, cookie=cookie) for number in range(size)]
        backend = {"cluster_formation.peer_discovery_backend": "classic_config"}
        peers = {
            f"cluster_formation.classic_config.nodes.{number}": node.node
            for number, node in enumerate(nodes, start=1)
        }
        for node in nodes:
            node.settings |= backend | peers
            node.account, node.password = nodes[0].account, nodes[0].password
            started.enter_context(node)
        yield nodes
