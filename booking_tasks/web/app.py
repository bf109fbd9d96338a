"""The routes. A GET never changes anything, since mail scanners follow links; a POST is an inbound message.

The address of a page is a secret: it is neither logged nor told to other sites.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

import booking_tasks.intake.tasks
import booking_tasks.waiting.tasks  # noqa: F401 - and these
from booking_tasks.contracts import AcceptOffer, Command, ConfirmRequest, DeclineOffer, DeclineRequest
from booking_tasks.inbox.receiver import receive
from booking_tasks.invites.notices import ANSWERS, OFFERS
from booking_tasks.kit.database import transaction
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import settings
from booking_tasks.kit.signed_links import TOKEN_CHARACTERS, Grant, Links, message_id
from booking_tasks.mail.dates import Language, language_of
from booking_tasks.mail.handler import house_of
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.web import pages
from booking_tasks.web.service import Asked, Offered, asked, offered

log = logger(__name__)

#: The door that the history names.
DOOR = "web"
_MOST_BYTES = 200
_HEARTBEAT_SECONDS = 5.0
_TURNED_AWAY: dict[pages.Plain, int] = {"unknown": 404, "over": 410, "later": 503}


def make_app(links: Links) -> Starlette:
    """The web room as an ASGI application."""
    answers = f"/{ANSWERS}/{{token}}"
    return Starlette(
        routes=[
            Route("/healthz", _health, methods=["GET"]),
            Route(answers, partial(_show, links), methods=["GET"]),
            Route(answers, partial(_answer, links), methods=["POST"]),
        ],
        exception_handlers={404: _nowhere, 405: _nowhere},
        lifespan=_life,
    )


@asynccontextmanager
async def _life(_: Starlette) -> AsyncIterator[None]:
    """As many at once as there are connections; a heartbeat for as long as the loop runs."""
    config = settings()
    current_default_thread_limiter().total_tokens = config.database_pool_size
    beating = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beating.cancel()


async def _beat() -> None:
    while True:
        settings().heartbeat_file.touch()
        await asyncio.sleep(_HEARTBEAT_SECONDS)


async def _health(_: Request) -> Response:
    try:
        await run_in_threadpool(_ask_database)
    except Exception as error:  # noqa: BLE001 - whatever it is, the database does not answer
        log.warning("web.unwell", error=type(error).__name__)
        return PlainTextResponse("the database does not answer\n", 503, headers=pages.headers())
    return PlainTextResponse("ok\n", headers=pages.headers())


def _ask_database() -> None:
    with transaction() as db:
        db.execute(text("SELECT 1"))


async def _show(links: Links, request: Request) -> Response:
    return await run_in_threadpool(_carefully, _page, links, request.path_params["token"])


async def _answer(links: Links, request: Request) -> Response:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            return _plain("unknown", 413)
    return await run_in_threadpool(
        _carefully, partial(_given, said=_said(body)), links, request.path_params["token"]
    )


async def _nowhere(_: Request, error: Exception) -> Response:
    return _plain("unknown", getattr(error, "status_code", 404))


def _said(body: bytes) -> str | None:
    """Which button was pressed; None when none of ours."""
    pressed = parse_qs(body.decode("ascii", "replace")).get("answer", [])
    return pressed[0] if len(pressed) == 1 and pressed[0] in {"accept", "decline"} else None


def _carefully(step: Callable[[Links, str], Response], links: Links, token: str) -> Response:
    """Whatever goes wrong is logged without the address, and the reader may try again."""
    try:
        return step(links, token)
    except Exception:  # whatever it is, a person at a page is told to try again, and the log says what it was
        log.exception("web.failed")
        return _plain("later")


def _page(links: Links, token: str) -> Response:
    found = _looked_up(links, token)
    if isinstance(found, Response):
        return found
    _, what = found
    page = pages.answer_page(what) if isinstance(what, Asked) else pages.offer_page(what)
    return HTMLResponse(page, headers=pages.headers())


def _given(links: Links, token: str, said: str | None) -> Response:
    """Take an answer as the message that it is, then show what stands: also to who came too late."""
    found = _looked_up(links, token)
    if isinstance(found, Response):
        return found
    grant, what = found
    if said is None:
        return _plain("unknown", 400)
    receive(_message(grant, what, said, message_id(token, said)), DOOR)
    # Relative, so that it holds behind a proxy that serves this under a path of its own.
    return RedirectResponse(token, 303, headers=pages.headers())


def _message(grant: Grant, what: Asked | Offered, said: str, id_: UUID) -> Command[Any]:
    """The message that an answer is: a consultant's to a question, or that of one who waits to an offer."""
    if isinstance(what, Asked):
        answer: type[ConfirmRequest | DeclineRequest] = ConfirmRequest if said == "accept" else DeclineRequest
        return answer(
            message_id=id_,
            actor=str(grant.person),
            request_id=what.question.request_id,
            consultant_user_id=grant.person,
            question_id=grant.subject,
        )
    reply: type[AcceptOffer | DeclineOffer] = AcceptOffer if said == "accept" else DeclineOffer
    return reply(
        message_id=id_, actor=str(grant.person), request_id=what.request_id, hold_token=what.hold_token
    )


def _looked_up(links: Links, token: str) -> tuple[Grant, Asked | Offered] | Response:
    grant = None
    if len(token) == TOKEN_CHARACTERS:
        grant = links.read(ANSWERS, token) or links.read(OFFERS, token)
    if grant is None:
        return _plain("unknown")
    with unit_of_work("web", DOOR) as (db, ctx):
        db.execute(text("SET TRANSACTION READ ONLY"))
        if grant.over(ctx.now):
            return _plain("over")
        show = asked if grant.purpose == ANSWERS else offered
        what = show(db, ctx, house_of(settings()), grant)
    return _plain("unknown") if what is None else (grant, what)


def _plain(what: pages.Plain, status: int | None = None) -> Response:
    page = pages.plain_page(what, _house_language())
    return HTMLResponse(page, status or _TURNED_AWAY[what], headers=pages.headers())


def _house_language() -> Language:
    return language_of(settings().default_language, "en")
