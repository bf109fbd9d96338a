"""Whether a mail's sender is proven: by the own server, in a header that is parsed and never searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import authres
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking_tasks.enums import Authentication
from booking_tasks.replies.authentication import authentication
from booking_tasks.replies.authentication_results import (
    DEEPEST_COMMENT,
    LONGEST_HEADER,
    MOST_RESULTS,
    AuthenticationResults,
    MethodResult,
    Property,
    UnreadableHeaderError,
    parse,
)
from booking_tasks.replies.mail import read
from tests.replies.mails import AUTHSERV, WEBER, calendar, mail, through_border

PASS = f"{AUTHSERV}; dmarc=pass header.from=example.org"
FAIL = f"{AUTHSERV}; dmarc=fail header.from=example.org"
DKIM = f"{AUTHSERV}; dkim=pass header.d=example.org"
RECEIVED = f"from out.example.org by {AUTHSERV} (Postfix) with ESMTPS id 4; Mon, 1 Mar 2027 09:05:00 +0000"
ELSEWHERE = "from pc by smtp.example.net with ESMTPSA; Mon, 1 Mar 2027 09:04:00 +0000"


def judged(*headers: str, sender: str = WEBER) -> str:
    """Judge a mail; a header that begins with `Received:` is one, the others are Authentication-Results."""
    named = [
        ("Received", one.removeprefix("Received:"))
        if one.startswith("Received:")
        else ("Authentication-Results", one)
        for one in headers
    ]
    return authentication([("Return-Path", "<x>"), *named, ("From", sender)], AUTHSERV, sender).value


PASSED = {
    "DMARC": (PASS,),
    "the case of names and values": (f"{AUTHSERV.upper()} 1; DMARC=Pass Header.From=EXAMPLE.org.",),
    "a quoted name": (f'"{AUTHSERV}"; dmarc=pass header.from=example.org',),
    "comments and folds everywhere": (
        f"(a;b) {AUTHSERV} (c=d)\r\n\t1 (e) ;\r\n (f) dmarc (g) / 1 = (h(i)) pass (dmarc=fail;) header (j) ."
        " from (k) = (l) example.org (m)",
    ),
    "beside other results": (
        f"{AUTHSERV}; spf=fail smtp.mailfrom=x@y.example; dmarc=pass header.from=example.org",
    ),
    "with a reason": (f'{AUTHSERV}; dmarc=pass reason="; dmarc=fail" header.from=example.org',),
    "others say otherwise": ("mx.other.example; dmarc=fail header.from=example.org", PASS),
    "others cannot be read": ("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.org;", PASS),
    "two headers agree": (PASS, PASS),
    "one header for each filter": (DKIM, f"{AUTHSERV}; spf=pass smtp.mailfrom=example.org", PASS),
    "below a Received of ours": (f"Received:{RECEIVED}", PASS, f"Received:{ELSEWHERE}"),
    "below a Received of a host of ours": (f"Received:from a by b.{AUTHSERV} with LMTP; x", PASS),
    "signs that servers do not quote": (
        f"{AUTHSERV}; dkim=pass header.d=example.org header.b=aB/c+d==; spf=none smtp.mailfrom=<>;"
        " spf=pass smtp.mailfrom=b+1=x@lists.example; iprev=pass policy.iprev=2001:db8::1;"
        " dmarc=pass header.from=example.org",
    ),
    "an empty value": (f"{AUTHSERV}; spf=none smtp.mailfrom=; dmarc=pass header.from=example.org",),
    "DKIM without a DMARC record": (
        f"{AUTHSERV}; dmarc=none header.from=example.org; dkim=pass header.d=example.org",
    ),
    "DKIM without a DMARC result": (DKIM,),
    "one of two DKIM signatures": (
        f"{AUTHSERV}; dkim=pass header.d=lists.example; dkim=pass header.d=example.org; dmarc=none",
    ),
}


@pytest.mark.parametrize("case", PASSED)
def test_what_the_own_server_proved_is_passed(case: str) -> None:
    assert judged(*PASSED[case]) == "passed"


FAILED = {
    "no header": (),
    "DMARC failed": (FAIL,),
    "a sender that says so in quotes": (
        f'{AUTHSERV}; dmarc=fail smtp.mailfrom="x; dmarc=pass y"@evil.example header.from=example.org',
    ),
    "in a comment": (
        f"{AUTHSERV}; dmarc=fail (; dmarc=pass header.from=example.org) header.from=example.org",
    ),
    "in a reason": (f'{AUTHSERV}; dmarc=fail reason="x; dmarc=pass" header.from=example.org',),
    "in an escaped quote": (
        f'{AUTHSERV}; dmarc=fail reason="\\"; dmarc=pass header.from=example.org; x=\\""'
        " header.from=example.org",
    ),
    "a longer result": (f"{AUTHSERV}; dmarc=pass-ish header.from=example.org",),
    "a longer method": (f"{AUTHSERV}; x-dmarc=pass header.from=example.org",),
    "no header.from": (f"{AUTHSERV}; dmarc=pass",),
    "another header.from": (f"{AUTHSERV}; dmarc=pass header.from=evil.example",),
    "a domain above": (f"{AUTHSERV}; dmarc=pass header.from=org",),
    "a domain below": (f"{AUTHSERV}; dmarc=pass header.from=x.example.org",),
    "the domain of the envelope": (f"{AUTHSERV}; dmarc=pass smtp.from=example.org",),
    "two domains": (f"{AUTHSERV}; dmarc=pass header.from=example.org header.from=evil.example",),
    "two results in one header": (
        f"{AUTHSERV}; dmarc=pass header.from=example.org; dmarc=pass header.from=example.org",
    ),
    "two headers disagree": (PASS, FAIL),
    "two headers disagree, the other way": (FAIL, PASS),
    "one says none": (PASS, f"{AUTHSERV}; dmarc=none header.from=example.org"),
    "a temporary error": (
        f"{AUTHSERV}; dmarc=temperror header.from=example.org; dkim=pass header.d=example.org",
    ),
    "DKIM where DMARC failed": (FAIL, DKIM),
    "SPF alone": (f"{AUTHSERV}; dmarc=none; spf=pass smtp.mailfrom={WEBER}",),
    "DKIM of another domain": (f"{AUTHSERV}; dmarc=none; dkim=pass header.d=lists.example",),
    "DKIM of an identity": (f"{AUTHSERV}; dmarc=none; dkim=pass header.i=@example.org",),
    "DKIM that failed": (f"{AUTHSERV}; dmarc=none; dkim=fail header.d=example.org",),
    "ARC": (f"{AUTHSERV}; dmarc=none; arc=pass header.d=example.org header.from=example.org",),
    "another server": ("mx.evil.example; dmarc=pass header.from=example.org",),
    "a longer name": (f"{AUTHSERV}.evil.example; dmarc=pass header.from=example.org",),
    "a name in a comment": (f"({AUTHSERV}) mx.evil.example; dmarc=pass header.from=example.org",),
    "none": (f"{AUTHSERV}; none",),
    "below another server's Received": (f"Received:{ELSEWHERE}", PASS),
    "between two Received": (f"Received:{RECEIVED}", f"Received:{ELSEWHERE}", PASS),
    "a Received that hides its host": (f"Received:from x (by {AUTHSERV}) by smtp.example.net; x", PASS),
    "a Received without a host": ("Received:from x", PASS),
}


@pytest.mark.parametrize("case", FAILED)
def test_what_the_own_server_did_not_prove_is_failed(case: str) -> None:
    assert judged(*FAILED[case]) == "failed"


UNREADABLE = {
    "a trailing separator": f"{PASS};",
    "no separator": f"{AUTHSERV} dmarc=pass",
    "another version": f"{AUTHSERV} 2; dmarc=pass header.from=example.org",
    "no result at all": AUTHSERV,
    "none beside a result": f"{PASS}; none",
    "none before a result": f"{AUTHSERV}; none; dmarc=pass header.from=example.org",
    "an open quote": f'{AUTHSERV}; dmarc=pass reason="header.from=example.org',
    "an open comment": f"{AUTHSERV}; dmarc=pass (header.from=example.org",
    "a closed comment only": f"{AUTHSERV}; dmarc=pass ) header.from=example.org",
    "a property without its type": f"{AUTHSERV}; dmarc=pass action=none header.from=example.org",
    "comments too deep": f"{AUTHSERV}; {'(' * (DEEPEST_COMMENT + 1)}{')' * (DEEPEST_COMMENT + 1)} dmarc=pass",
    "too long": f"{PASS} ({'x' * LONGEST_HEADER})",
    "too many results": f"{AUTHSERV}{'; spf=none' * MOST_RESULTS}; dmarc=pass header.from=example.org",
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_no_proof_and_no_error(case: str) -> None:
    assert judged(UNREADABLE[case]) == "unreadable"
    assert judged(PASS, UNREADABLE[case]) == "unreadable"


def test_too_many_results_in_several_headers_are_unreadable() -> None:
    spf = f"{AUTHSERV}{'; spf=none' * (MOST_RESULTS - 1)}"
    assert judged(spf, PASS) == "passed"
    assert judged(spf, spf, PASS) == "unreadable"


def test_domains_in_other_scripts_are_compared_in_ascii() -> None:
    header = f"{AUTHSERV}; dmarc=pass header.from=Bücher.example"
    assert judged(header, sender="a@xn--bcher-kva.example") == "passed"
    assert judged(header, sender="a@bucher.example") == "failed"


def test_a_domain_that_is_none_proves_nothing() -> None:
    assert judged(f"{AUTHSERV}; dmarc=pass header.from=.", sender="a@.") == "failed"


def test_a_mail_is_judged_by_its_headers() -> None:
    raw = mail(calendar("x"))
    assert read(through_border(raw), AUTHSERV).authentication == Authentication.PASSED
    assert read(through_border(raw, dmarc="fail"), AUTHSERV).authentication == Authentication.FAILED
    assert read(raw, AUTHSERV).authentication == Authentication.FAILED
    assert read(through_border(raw), None).authentication == Authentication.UNCHECKED
    forged = mail(calendar("x"), Authentication_Results=PASS)
    assert read(through_border(forged, dmarc="fail"), AUTHSERV).authentication == Authentication.FAILED


# -- against another parser of the same grammar ----------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """A header, and what it says."""

    text: str
    says: AuthenticationResults


_word = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
_domain = st.from_regex(r"[a-z][a-z0-9]{0,5}(\.[a-z][a-z0-9]{0,5}){1,2}", fullmatch=True)
# authres takes no empty quoted string, and drops the spaces around one.
_quotable = st.text(st.sampled_from("ab;=.()@ dmrcps"), min_size=1, max_size=12).filter(
    lambda one: one == one.strip()
)
_comment = st.builds(lambda text: f"({text})", st.text(st.sampled_from("ab;=. dmarcps"), max_size=10))
_gap = st.one_of(st.just(""), st.just(" "), st.just("\r\n\t"), _comment.map(lambda one: f" {one} "))
_space = st.one_of(st.just(" "), _comment.map(lambda one: f" {one} "))


@st.composite
def _headers(draw: Any) -> Written:
    name = draw(_domain)
    text = name + draw(_gap)
    results = []
    for _ in range(draw(st.integers(1, 4))):
        method = draw(st.sampled_from(["dmarc", "dkim", "spf", "arc", "x-y"]))
        result = draw(st.sampled_from(["pass", "fail", "none", "pass-ish"]))
        text += f";{draw(_gap)}{method}{draw(_gap)}={draw(_gap)}{result}"
        if draw(st.booleans()):
            text += f'{draw(_space)}reason="{draw(_quotable)}"'
        properties = []
        for _ in range(draw(st.integers(0, 3))):
            type_, key = draw(st.sampled_from(["smtp", "header", "policy"])), draw(_word)
            value = draw(_domain)
            if draw(st.booleans()):
                local = draw(_quotable)
                text += f'{draw(_space)}{type_}.{key}="{local}"@{value}'
                value = f"{local}@{value}"
            else:
                text += f"{draw(_space)}{type_}{draw(_gap)}.{draw(_gap)}{key}{draw(_gap)}={draw(_gap)}{value}"
            properties.append(Property(type_, key, value))
        text += draw(_gap)
        results.append(MethodResult(method, result, tuple(properties)))
    return Written(text, AuthenticationResults(name, tuple(results)))


def _by_authres(header: str) -> AuthenticationResults:
    unfolded = header.replace("\r\n", "")
    found = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {unfolded}")
    return AuthenticationResults(
        found.authserv_id,
        tuple(
            MethodResult(
                one.method.lower(),
                one.result.lower(),
                tuple(
                    Property(p.type.lower(), p.name.lower(), p.value.replace('"', "")) for p in one.properties
                ),
            )
            for one in found.results
        ),
    )


@settings(max_examples=100, deadline=None)
@given(_headers())
def test_a_header_is_read_as_it_was_written_and_as_authres_reads_it(header: Written) -> None:
    assert parse(header.text) == header.says
    assert _by_authres(header.text) == header.says


@settings(max_examples=100, deadline=None)
@given(
    _headers(), st.integers(0, 200), st.integers(0, 5), st.text(st.sampled_from('ab;=.()@ "\\/,'), max_size=4)
)
def test_a_damaged_header_is_refused_or_has_the_results_that_authres_sees(
    header: Written, place: int, cut: int, text: str
) -> None:
    damaged = header.text[:place] + text + header.text[place + cut :]
    try:
        ours = parse(damaged)
    except UnreadableHeaderError:
        return
    try:
        theirs = _by_authres(damaged)
    except (authres.SyntaxError, authres.AuthResError):
        return  # what it does not read at all (quoted names, say) is no oracle
    decisive = [(one.method, one.result) for one in ours.results]
    assert decisive == [(one.method, one.result) for one in theirs.results]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert judged(text) in {"failed", "unreadable"}
    assert judged(f"{AUTHSERV};{text}") in {"failed", "unreadable"}
