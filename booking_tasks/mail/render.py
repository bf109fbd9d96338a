"""The text and HTML of a mail, rendered from one template. Pure.

A template is the plain text: its first line is the subject, then paragraphs follow. The HTML is made from
that text, so that the two cannot differ.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from booking_tasks.mail.dates import Language

#: Control characters, line separators and halves of characters, and what turns the direction of the text
#: behind it (Unicode annex 9).
_LEFT_OUT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


@dataclass(frozen=True)
class RenderedMail:
    """The subject, text and HTML of one mail."""

    subject: str
    text: str
    html: str


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, language: Language, link: str | None = None, **values: str | None) -> RenderedMail:
    """Render a mail. Lines that consist of the link become a link in the HTML."""
    subject, text = render_text(template, language, link=link, **values).split("\n", 1)
    paragraphs = [part.splitlines() for part in text.strip().split("\n\n") if part.strip()]
    html = (
        _templates()
        .get_template("mail.html")
        .render(
            language=language,
            subject=subject,
            paragraphs=paragraphs,
            link=link if link is not None and link.startswith(("https://", "http://")) else None,
        )
    )
    return RenderedMail(subject=subject, text=text.strip() + "\n", html=html)


def render_text(template: str, language: Language, **values: str | None) -> str:
    """Render a plain-text template, without surrounding white space."""
    return _templates().get_template(f"{template}.{language}.txt").render(values).strip()


def one_line(text: str) -> str:
    """A name as one line that a header can hold: it starts no paragraph, subject or encoded word.

    What no header may hold is left out, so that a bad name of one side stops nobody's mail.
    """
    shown = "".join(one for one in " ".join(text.split()) if not _is_unprintable(one))
    return " ".join(shown.replace("=?", "= ?").split())


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _LEFT_OUT or unicodedata.bidirectional(character) in _TURNS
