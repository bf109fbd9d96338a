"""HTTPS requests to hosts named by others, protected against server-side request forgery.

A name is looked up once, and the connection goes to the address that was checked: a name that resolves
differently a moment later has no effect. Every redirect is checked like the first address. One deadline
bounds everything: connecting, the handshake, each byte of headers and bodies, every redirect. Only the
lookup of the name is bounded by the system's resolver instead.
"""

from __future__ import annotations

import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpcore2
import httpx2

from booking_tasks.calendars.addresses import is_public
from booking_tasks.calendars.headers import UnknownEncodingError, unpacker, wait_of

MOST_REDIRECTS, MOST_REQUESTS = 5, 50
_TOO_LARGE = "it is larger than BOOKING_CALENDAR_MAX_BYTES allows"
_NO_ADDRESS = "it leads to something that is not a valid address"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECTION_ERRORS = (
    httpx2.HTTPError,
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
)

#: A function like `socket.getaddrinfo`: (host, port, type=...) to entries (..., (address, port, ...)).
Resolve = Callable[..., Iterable[tuple[Any, ...]]]


class FetchError(Exception):
    """A calendar could not be fetched. The message holds no address, no secret and no calendar content.

    `retry_after` is how long its server asks to be left alone (RFC 9110 section 10.2.3).
    """

    def __init__(self, problem: str, retry_after: timedelta | None = None) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


@dataclass(frozen=True)
class NetworkLimits:
    """The limits of one fetch: `seconds` in total, and `max_bytes` of all bodies together.

    The hosts of `private_hosts` may have addresses that are not public.
    """

    seconds: float = 20.0
    max_bytes: int = 10_000_000
    private_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class HttpResponse:
    """The final response, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class HttpsClient:
    """A client for a few requests under one deadline. Close it (`with`).

    With a user name it sends HTTP Basic authentication, and only to the host and port that the credentials
    are for.
    """

    def __init__(
        self,
        url: str,
        username: str | None,
        password: str | None,
        limits: NetworkLimits,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._home = _origin(url)
        self._credentials = None if username is None else f"{username}:{password or ''}".encode()
        self._deadline = _Deadline(limits.seconds)
        self._bytes_left = limits.max_bytes
        self._requests_left = MOST_REQUESTS
        self._client = httpx2.Client(
            transport=_Transport(_Guard(self._deadline, limits.private_hosts, resolve)),
            timeout=limits.seconds,
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> HttpResponse:
        """Send a request, follow redirects, and read the whole response. Raises FetchError."""
        for _ in range(MOST_REDIRECTS + 1):
            response = self._send(method, url, headers or {}, body)
            if response.status not in _REDIRECTS:
                return response
            url = _redirected(url, response.headers.get("Location", ""))
        raise FetchError(f"it redirects more than {MOST_REDIRECTS} times")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> HttpResponse:
        origin = _origin(url)
        self._requests_left -= 1
        if self._requests_left < 0:
            raise FetchError(f"it takes more than {MOST_REQUESTS} requests")
        sent = {"Accept-Encoding": "identity", "User-Agent": "booking_tasks"} | dict(headers)
        if self._credentials is not None and origin == self._home:
            sent["Authorization"] = f"Basic {b64encode(self._credentials).decode()}"
        try:
            with self._client.stream(method, url, headers=sent, content=body) as response:
                return HttpResponse(response.status_code, response.headers, self._read(response))
        except _CONNECTION_ERRORS as error:
            raise FetchError(_error_text(error, self._deadline)) from None
        except UnknownEncodingError as error:
            raise FetchError(str(error)) from None
        except (httpx2.InvalidURL, ValueError):
            raise FetchError(_NO_ADDRESS) from None

    def _read(self, response: httpx2.Response) -> bytes:
        """Read the body, unpacked, and no more of it than the limit allows, packed or unpacked."""
        unpack = unpacker(response.headers.get("Content-Encoding", ""))
        packed, body = 0, bytearray()
        for chunk in response.iter_raw():
            packed += len(chunk)
            if packed > self._bytes_left:
                raise FetchError(_TOO_LARGE)
            body += unpack(chunk, self._bytes_left - len(body) + 1)
            if len(body) > self._bytes_left:
                raise FetchError(_TOO_LARGE)
        self._bytes_left -= max(packed, len(body))
        return bytes(body)


def status_error(response: HttpResponse) -> FetchError:
    """The error for a response that is no success."""
    retry_after = None
    if response.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        retry_after = wait_of(response.headers.get("Retry-After", ""), response.headers.get("Date", ""))
    return FetchError(_status_text(response.status), retry_after)


def _status_text(status: int) -> str:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return f"its server refuses access ({status}): check the address, user name and password"
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return f"it no longer exists ({status})"
    return f"its server answers {status}"


def _origin(url: str) -> tuple[str, int]:
    """The host and port of an https address. Raises FetchError for any other address."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise FetchError(_NO_ADDRESS) from None
    if parts.scheme != "https" or not parts.hostname:
        raise FetchError("it leads to an address that is not https")
    return parts.hostname, port


def _redirected(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        scheme = urlsplit(target).scheme
    except ValueError:
        raise FetchError(_NO_ADDRESS) from None
    return "https" + target[len(scheme) :] if scheme in {"webcal", "webcals"} else target


def _error_text(error: Exception, deadline: _Deadline) -> str:
    if isinstance(error, httpcore2.ConnectTimeout | httpx2.ConnectTimeout):
        return "connecting to its server takes too long (BOOKING_CALENDAR_TIMEOUT)"
    if deadline.remaining() <= 0 or isinstance(error, httpcore2.TimeoutException | httpx2.TimeoutException):
        return "its server is too slow: reading it takes longer than BOOKING_CALENDAR_TIMEOUT in all"
    if isinstance(error, httpcore2.ConnectError):
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return "its server's certificate is not trusted"
            cause = cause.__cause__ or cause.__context__
        return "its server cannot be reached"
    return f"its server's response broke off ({type(error).__name__})"


class _Deadline:
    """The instant at which everything must have ended."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining(self) -> float:
        return self._at - time.monotonic()

    def wait(self, timeout: float | None) -> float:
        """The seconds that one wait may take. Raises ReadTimeout after the deadline."""
        left = self.remaining()
        if left <= 0:
            raise httpcore2.ReadTimeout
        return left if timeout is None else min(left, timeout)


class _Guard(httpcore2.NetworkBackend):
    """Connects to public addresses only, except for the hosts that may be private."""

    def __init__(self, deadline: _Deadline, private_hosts: Iterable[str], resolve: Resolve) -> None:
        self._deadline = deadline
        self._private_hosts = {host.casefold() for host in private_hosts}
        self._resolve = resolve
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        last_error: Exception | None = None
        for address in self._addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.wait(timeout), local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last_error = error
                continue
            return _Stream(stream, self._deadline)
        raise last_error or httpcore2.ConnectError("no address")

    def _addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to; they are looked up once."""
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError):
            raise FetchError("its host name is unknown") from None
        if host.casefold() in self._private_hosts:
            return addresses
        if not addresses or not all(map(is_public, addresses)):
            raise FetchError(
                "it has a private address (hosts in BOOKING_CALENDAR_PRIVATE_HOSTS may have one)"
            )
        return addresses


class _Stream(httpcore2.NetworkStream):
    """A connection on which every wait ends at the deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.wait(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.wait(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        wait = self._deadline.wait(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, wait), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Transport(httpx2.BaseTransport):
    """An httpx2 transport over guarded connections that follows the environment's certificate settings."""

    def __init__(self, guard: _Guard) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(), network_backend=guard, max_connections=1
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        sent = httpcore2.Request(
            method=request.method,
            url=url,
            headers=request.headers.raw,
            content=request.read(),
            extensions=request.extensions,
        )
        got = self._pool.handle_request(sent)
        return httpx2.Response(
            got.status, headers=got.headers, stream=_ResponseStream(got.stream), extensions=got.extensions
        )

    def close(self) -> None:
        self._pool.close()


class _ResponseStream(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()
