"""A letter's words. Pure: templates in, text and HTML out; both say the same.

A template is the plain text: its first line the subject, then paragraphs. The HTML is made from that
text, so that the two cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from booking_tasks.mail.dates import Language


@dataclass(frozen=True)
class Words:
    """What a reader sees of one letter."""

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


def words(kind: str, language: Language, link: str | None = None, **values: str | None) -> Words:
    """The letter of a kind, filled in. Lines that are just the link become one in the HTML."""
    subject, text = plain(kind, language, link=link, **values).split("\n", 1)
    paragraphs = [part.splitlines() for part in text.strip().split("\n\n") if part.strip()]
    html = (
        _templates()
        .get_template("letter.html")
        .render(
            language=language,
            subject=subject,
            paragraphs=paragraphs,
            link=link if link is not None and link.startswith(("https://", "http://")) else None,
        )
    )
    return Words(subject=subject, text=text.strip() + "\n", html=html)


def plain(kind: str, language: Language, **values: str | None) -> str:
    """A template filled in, without surrounding white space."""
    return _templates().get_template(f"{kind}.{language}.txt").render(values).strip()


def one_line(text: str) -> str:
    """A name as one line, whatever it was stored as: it must not start a new paragraph or subject."""
    return " ".join(text.split())
