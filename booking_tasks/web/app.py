"""The routes: a GET changes nothing, because mail scanners follow links; a POST is an inbound message.

The address of a page is a secret: it is not logged and not sent to other sites.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

import booking_tasks.absence.tasks
import booking_tasks.intake.tasks
import booking_tasks.waiting.tasks  # noqa: F401 - registers the use cases
from booking_tasks.contracts import (
    AcceptOffer,
    AnswerProposal,
    Command,
    ConfirmRequest,
    DeclineOffer,
    DeclineRequest,
)
from booking_tasks.inbox.receiver import receive
from booking_tasks.invites.notices import ANSWERS, OFFERS, PROPOSALS
from booking_tasks.kit.database import transaction
from booking_tasks.kit.heartbeat import touch_heartbeat
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.kit.signed_links import TOKEN_CHARACTERS, Grant, Links, answer_message_id
from booking_tasks.mail.dates import Language, language_of
from booking_tasks.mail.handler import sender_of
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.web import pages
from booking_tasks.web.service import (
    ConfirmationView,
    OfferView,
    confirmation_view,
    offer_view,
    proposal_view,
)

log = logger(__name__)

#: The entry point in the history of an answer by a page.
ENTRY_POINT = "web"
_MAX_BODY_BYTES = 200
_HEARTBEAT_SECONDS = 5.0
_STATUS: dict[pages.Plain, int] = {"unknown": 404, "expired": 410, "later": 503}


#: Finds out what cannot be used now: the names of servers, each with the reason.
Failures = Callable[[], Mapping[str, str]]


def make_app(links: Links, failures: Failures) -> Starlette:
    """Make the ASGI application of the web pages; `failures` answers /readyz."""
    answers = f"/{ANSWERS}/{{token}}"
    return Starlette(
        routes=[
            Route("/healthz", _health, methods=["GET"]),
            Route("/readyz", partial(_ready, failures), methods=["GET"]),
            Route(answers, partial(_show, links), methods=["GET"]),
            Route(answers, partial(_answer, links), methods=["POST"]),
        ],
        exception_handlers={404: _not_found, 405: _not_found},
        lifespan=_lifespan,
    )


@asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncIterator[None]:
    """Limit the threads to the number of database connections, and touch the heartbeat file while running."""
    config = settings()
    current_default_thread_limiter().total_tokens = config.database_pool_size
    heartbeat = asyncio.create_task(_touch_heartbeat())
    try:
        yield
    finally:
        heartbeat.cancel()


async def _touch_heartbeat() -> None:
    while True:
        touch_heartbeat(settings().heartbeat_file)
        await asyncio.sleep(_HEARTBEAT_SECONDS)


async def _health(_: Request) -> Response:
    try:
        await run_in_threadpool(_query_database)
    except Exception as error:  # noqa: BLE001 - after any error the database counts as away
        log.warning("web.unwell", error=type(error).__name__)
        return PlainTextResponse("the database does not answer\n", 503, headers=pages.headers())
    return PlainTextResponse("ok\n", headers=pages.headers())


async def _ready(failures: Failures, _: Request) -> Response:
    """Answer 503 with the names of what cannot be used; the reasons name hosts, so only the log has them."""
    found = await run_in_threadpool(failures)
    if not found:
        return PlainTextResponse("ready\n", headers=pages.headers())
    log.warning("web.not_ready", **found)
    return PlainTextResponse(f"not ready: {', '.join(found)}\n", 503, headers=pages.headers())


def _query_database() -> None:
    with transaction() as db:
        db.execute(text("SELECT 1"))


async def _show(links: Links, request: Request) -> Response:
    return await run_in_threadpool(_with_failure_page, _page, links, request.path_params["token"])


async def _answer(links: Links, request: Request) -> Response:
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _MAX_BODY_BYTES:
                return _plain("unknown", 413)
    except ClientDisconnect:  # or cut off because the rest did not come
        return _plain("unknown", 400)
    return await run_in_threadpool(
        _with_failure_page,
        partial(_take_answer, answer=_answer_in(body)),
        links,
        request.path_params["token"],
    )


async def _not_found(_: Request, error: Exception) -> Response:
    return _plain("unknown", getattr(error, "status_code", 404))


def _answer_in(body: bytes) -> str | None:
    """Return the value of the button that was pressed, or None when it is not one of the page."""
    pressed = parse_qs(body.decode("ascii", "replace")).get("answer", [])
    return pressed[0] if len(pressed) == 1 and pressed[0] in {"accept", "decline"} else None


def _with_failure_page(respond: Callable[[Links, str], Response], links: Links, token: str) -> Response:
    """Log any error without the address, and show a page that asks the reader to try again."""
    try:
        return respond(links, token)
    except Exception:  # a person at a page needs a page, whatever the error is
        log.exception("web.failed")
        return _plain("later")


def _page(links: Links, token: str) -> Response:
    found = _resolve(links, token)
    if isinstance(found, Response):
        return found
    return HTMLResponse(_html(found), headers=pages.headers())


def _take_answer(links: Links, token: str, answer: str | None) -> Response:
    """Receive an answer as a message, then show the page again, also when the answer came too late."""
    found = _resolve(links, token)
    if isinstance(found, Response):
        return found
    if answer is None:
        return _plain("unknown", 400)
    if found.is_late:
        return HTMLResponse(_html(found), _STATUS["expired"], headers=pages.headers())
    message_id = answer_message_id(token, answer)
    receive(_command(found.grant, found.view, answer, message_id), ENTRY_POINT)
    # A relative address stays right behind a proxy that serves these pages under a path of its own.
    return RedirectResponse(token, 303, headers=pages.headers())


def _command(grant: Grant, view: ConfirmationView | OfferView, answer: str, id_: UUID) -> Command[Any]:
    """Return the command of an answer: by a consultant who is to confirm, or to an offer or a proposal."""
    if isinstance(view, ConfirmationView):
        confirm_or_decline: type[ConfirmRequest | DeclineRequest] = (
            ConfirmRequest if answer == "accept" else DeclineRequest
        )
        return confirm_or_decline(
            message_id=id_,
            actor=str(grant.person),
            request_id=view.confirmation.request_id,
            consultant_user_id=grant.person,
            confirmation_request_id=grant.subject,
        )
    if grant.purpose == PROPOSALS or view.hold_token is None:
        return AnswerProposal(
            message_id=id_, actor=str(grant.person), proposal_id=grant.subject, accepted=answer == "accept"
        )
    accept_or_decline: type[AcceptOffer | DeclineOffer] = AcceptOffer if answer == "accept" else DeclineOffer
    return accept_or_decline(
        message_id=id_, actor=str(grant.person), request_id=view.request_id, hold_token=view.hold_token
    )


@dataclass(frozen=True)
class _Resolved:
    """What a link grants and shows. A late one still shows what became of it, and does nothing."""

    grant: Grant
    view: ConfirmationView | OfferView
    is_late: bool


_VIEWS = {ANSWERS: confirmation_view, OFFERS: offer_view, PROPOSALS: proposal_view}


def _resolve(links: Links, token: str) -> _Resolved | Response:
    """Return the grant of a token and what its page shows, or the page that says why there is none."""
    grants = (links.read(purpose, token) for purpose in _VIEWS if len(token) == TOKEN_CHARACTERS)
    grant = next((one for one in grants if one is not None), None)
    if grant is None:
        return _plain("unknown")
    with unit_of_work("web", ENTRY_POINT) as (db, ctx):
        db.execute(text("SET TRANSACTION READ ONLY"))
        is_late = grant.is_expired(ctx.now)
        view = _VIEWS[grant.purpose](db, ctx, sender_of(settings()), grant)
    if view is None:
        return _plain("expired" if is_late else "unknown")
    if is_late and (view.is_open or view.is_unanswered):
        return _plain("expired")
    return _Resolved(grant, view, is_late)


def _html(found: _Resolved) -> str:
    if isinstance(found.view, ConfirmationView):
        return pages.confirmation_page(found.view)
    if found.grant.purpose == PROPOSALS:
        return pages.proposal_page(found.view)
    return pages.offer_page(found.view)


def _plain(what: pages.Plain, status: int | None = None) -> Response:
    page = pages.plain_page(what, _default_language())
    return HTMLResponse(page, status or _STATUS[what], headers=pages.headers())


def _default_language() -> Language:
    return language_of(settings().default_language, "en")
