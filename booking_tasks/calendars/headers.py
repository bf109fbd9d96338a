"""What the headers of an HTTP response say of its body and of the next request (RFC 9110). Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import timedelta
from email.message import Message
from email.utils import parsedate_to_datetime

#: Unpacks a piece of a body to so many bytes at most.
Unpack = Callable[[bytes, int], bytes]
#: zlib finds out by itself whether it reads gzip or zlib.
_GZIP_OR_ZLIB, _RAW = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})


class UnknownEncodingError(Exception):
    """A body is packed in a way that is not unpacked here, or its packing is damaged."""


def unpacker(encoding: str) -> Unpack:
    """Return what unpacks a body of this Content-Encoding, piece by piece. Raises UnknownEncodingError.

    A body is unpacked although `identity` was requested, because some servers pack always.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return lambda chunk, _: chunk
    if name not in _PACKED:
        raise UnknownEncodingError("its server sends a compressed response although identity was requested")
    return _Unpacker().take


class _Unpacker:
    """Unpacks gzip, zlib, and the bare deflate that some servers send instead."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._is_begun = False

    def take(self, chunk: bytes, most: int) -> bytes:
        try:
            return self._inner.decompress(self._inner.unconsumed_tail + chunk, most)
        except zlib.error:
            if self._is_begun:
                raise UnknownEncodingError("its compressed response is damaged") from None
        finally:
            self._is_begun = True
        self._inner = zlib.decompressobj(_RAW)
        return self.take(chunk, most)


def charset_of(content_type: str) -> str | None:
    """The charset that a Content-Type names, or None."""
    message = Message()
    message["Content-Type"] = content_type
    return message.get_content_charset()


def wait_of(retry_after: str, date: str) -> timedelta | None:
    """The time that a Retry-After asks for, in seconds or as a date; None for any other text.

    A date is compared with the Date of the same response: that is the server's own clock.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        return max(parsedate_to_datetime(text) - parsedate_to_datetime(date), timedelta())
    except (ValueError, TypeError, OverflowError):
        return None
