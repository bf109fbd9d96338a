"""Pages as HTML: whole in themselves, without scripts, readable without their style. Pure."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from booking_tasks.mail.dates import Language
from booking_tasks.web.service import Asked, Offered

_TEMPLATES = Path(__file__).parent / "templates"

#: What a page that shows nothing of anybody says: a link that leads nowhere, one whose time is over, and
#: a server that is not well.
Plain = Literal["unknown", "over", "later"]


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> str:
    return (_TEMPLATES / "page.css").read_text(encoding="utf-8")


@cache
def headers() -> dict[str, str]:
    """What every page is sent with: kept by nobody, framed by nobody, and its address told to nobody."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
    }


def answer_page(asked: Asked) -> str:
    """The question with its two buttons, or what became of it; in the reader's language."""
    language = asked.reader.language
    return _rendered(f"answer.{language}.html", language, asked=asked)


def offer_page(offered: Offered) -> str:
    """What is offered with its two buttons, or what became of it; in the reader's language."""
    language = offered.reader.language
    return _rendered(f"offer.{language}.html", language, offered=offered)


def plain_page(what: Plain, language: Language) -> str:
    """A page that anybody may see."""
    return _rendered(f"plain.{language}.html", language, what=what)


def _rendered(template: str, language: Language, **values: object) -> str:
    # The style's hash must be of exactly what stands between the tags.
    return _environment().get_template(template).render(language=language, style=_style(), **values)
