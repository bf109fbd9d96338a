"""Reads Authentication-Results headers (RFC 8601 section 2.2) by recursive descent. Pure.

Quoted strings and comments may contain anything, so nothing is searched for in the raw text.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The longest header that is read, in characters, and the most results and nested comments in it.
LONGEST_HEADER = 8 * 1024
MOST_RESULTS = 50
DEEPEST_COMMENT = 5

#: What ends a token (RFC 2045 section 5.1, tspecials), beside spaces and control characters.
_SPECIALS = frozenset('()<>@,;:\\"/[]?=')
_ENDS_VALUE = frozenset('();"\\')
_SPACES = frozenset(" \t\r\n")


class UnreadableHeaderError(Exception):
    """The header does not follow the grammar, or is too long; the message quotes nothing of it."""


@dataclass(frozen=True)
class Property:
    """One property of a result, such as `header.from=example.org`; type and name in lower case."""

    type: str
    name: str
    value: str


@dataclass(frozen=True)
class MethodResult:
    """The result of one method, both in lower case, with its properties in their order."""

    method: str
    result: str
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True)
class AuthenticationResults:
    """One header: who wrote it, and the results; there are none in a header that says `none`."""

    authserv_id: str
    results: tuple[MethodResult, ...]


def authserv_id(header: str) -> str:
    """Return who wrote a header, by its own claim. Raises UnreadableHeaderError."""
    return _Reader(header).authserv_id()


def parse(header: str) -> AuthenticationResults:
    """Return what a header says. Raises UnreadableHeaderError."""
    if len(header) > LONGEST_HEADER:
        raise UnreadableHeaderError("it is too long")
    return _Reader(header).header()


def tokens(header: str) -> list[str]:
    """Return the words of a structured header without its comments, as far as they can be read."""
    reader, found = _Reader(header), []
    try:
        while word := reader.word():
            found.append(word)
    except UnreadableHeaderError:
        pass
    return found


class _Reader:
    """One method for each rule of the grammar; each leaves `_at` behind what it has read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def authserv_id(self) -> str:
        self._skip()
        return self._value()

    def header(self) -> AuthenticationResults:
        name = self.authserv_id()
        self._skip()
        if self._peek().isdecimal() and self._token() != "1":
            raise UnreadableHeaderError("it has another version")
        self._skip()
        results: list[MethodResult] = []
        is_none = False
        while self._peek():
            self._expect(";")
            self._skip()
            if is_none or len(results) == MOST_RESULTS:
                raise UnreadableHeaderError("it has too many results")
            found = self._result()
            if found is None:
                is_none = True
            else:
                results.append(found)
        if is_none == bool(results):
            raise UnreadableHeaderError("it has no result, or `none` beside results")
        return AuthenticationResults(name, tuple(results))

    def word(self) -> str:
        """Read up to the next space or comment; empty at the end."""
        self._skip()
        return self._quoted() if self._peek() == '"' else self._characters(frozenset('("'))

    def _result(self) -> MethodResult | None:
        method = self._token().lower()
        self._skip()
        if method == "none" and self._peek() in ("", ";"):
            return None
        if self._peek() == "/":
            self._expect("/")
            self._skip()
            self._token()
        self._equals()
        result = self._token().lower()
        self._skip()
        properties: list[Property] = []
        while self._peek() not in ("", ";"):
            if (found := self._property()) is not None:
                properties.append(found)
        return MethodResult(method, result, tuple(properties))

    def _property(self) -> Property | None:
        """Read `type.name=value`, or `reason=value`, which is None."""
        name = self._token(ends=".").lower()
        self._skip()
        if name == "reason" and self._peek() == "=":
            self._equals()
            self._value()
            self._skip()
            return None
        self._expect(".")
        self._skip()
        property_name = self._token().lower()
        self._equals()
        value = self._property_value()
        self._skip()
        return Property(name, property_name, value)

    def _property_value(self) -> str:
        """Read a quoted string, an address, or a word that may be empty.

        Servers write `<>` and the signs of base64 without quotes, so a word ends only where it must.
        """
        quoted = self._quoted() if self._peek() == '"' else ""
        return quoted + self._characters(_ENDS_VALUE)

    def _equals(self) -> None:
        self._skip()
        self._expect("=")
        self._skip()

    def _value(self) -> str:
        return self._quoted() if self._peek() == '"' else self._token()

    def _token(self, ends: str = "") -> str:
        found = self._characters(_SPECIALS | set(ends))
        if not found:
            raise UnreadableHeaderError("a word is missing")
        return found

    def _characters(self, ends: frozenset[str]) -> str:
        first = self._at
        while (one := self._peek()) and one.isprintable() and one not in ends and one not in _SPACES:
            self._at += 1
        return self._text[first : self._at]

    def _quoted(self) -> str:
        self._expect('"')
        found = ""
        while (one := self._next()) != '"':
            found += self._next() if one == "\\" else one
        return found

    def _skip(self) -> None:
        """Skip spaces, line ends and comments (CFWS, RFC 5322 section 3.2.2)."""
        depth = 0
        while (one := self._peek()) and (depth or one in _SPACES or one == "("):
            self._at += 1
            if one == "\\":
                self._next()
            depth += {"(": 1, ")": -1}.get(one, 0)
            if depth > DEEPEST_COMMENT:
                raise UnreadableHeaderError("its comments are nested too deeply")
        if depth:
            raise UnreadableHeaderError("a comment has no end")

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise UnreadableHeaderError("a separator is missing")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        if self._at == len(self._text):
            raise UnreadableHeaderError("it ends too early")
        self._at += 1
        return self._text[self._at - 1]
