"""The pages as HTML: each is one file without scripts, readable without its style. Pure."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from booking_tasks.mail.dates import Language
from booking_tasks.web.service import ConfirmationView, OfferView

_TEMPLATES = Path(__file__).parent / "templates"

#: The pages without personal data: an unknown link, an expired link, and a failure of the server.
Plain = Literal["unknown", "expired", "later"]


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
    """Return the headers of every page: no cache, no frame, no referrer, as the address is secret."""
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


def confirmation_page(view: ConfirmationView) -> str:
    """Render a confirmation request with its two buttons, or its resolution, in the reader's language."""
    language = view.reader.language
    return _rendered(f"answer.{language}.html", language, view=view)


def offer_page(view: OfferView) -> str:
    """Render an offer with its two buttons, or its result, in the reader's language."""
    language = view.reader.language
    return _rendered(f"offer.{language}.html", language, view=view)


def proposal_page(view: OfferView) -> str:
    """Render a proposal of another time with its two buttons, or its result, in the reader's language."""
    language = view.reader.language
    return _rendered(f"proposal.{language}.html", language, view=view)


def plain_page(what: Plain, language: Language) -> str:
    """Render a page without personal data."""
    return _rendered(f"plain.{language}.html", language, what=what)


def _rendered(template: str, language: Language, **values: object) -> str:
    # The hash in the headers must be of exactly the text between the style tags.
    return _environment().get_template(template).render(language=language, style=_style(), **values)
