from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from booking_tasks.mail import render as wording
from booking_tasks.mail.dates import Language
from booking_tasks.mail.render import one_line, render

TEMPLATES = Path(wording.__file__).parent / "templates"
LETTERS = (
    "invite",
    "update",
    "cancellation",
    "reminder",
    "confirmation_requested",
    "confirmation_withdrawn",
    "confirmation_declined",
    "request_rejected",
)
VALUES: dict[str, str | None] = {
    "reader": "Mira",
    "sender": "Consultations",
    "service": "Algebra",
    "counterpart": "Dr Okafor",
    "day": "Monday",
    "when": "Monday, 10:00",
    "until": "Sunday, 10:00",
    "by_calendar": "yes",
    "ahead": "1 hour",
    "details": "Matrices",
    "reason": "no time",
}


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("template", LETTERS)
@pytest.mark.parametrize("link", [None, "https://meet.example.org/a?b=1&c=2"])
def test_every_mail_names_its_subject_in_both_formats(
    template: str, language: Language, link: str | None
) -> None:
    rendered = render(template, language, link=link, **VALUES)

    assert "Algebra" in rendered.subject
    assert "\n" not in rendered.subject
    for shape in (rendered.text, rendered.html):
        assert "Mira" in shape
        assert "Algebra" in shape
        assert not re.search(r"\{\{|\}\}|\{%|%\}|None", shape)
    assert not re.search(r"<[a-z/!]", rendered.text)
    assert "\n\n\n" not in rendered.text


def test_each_template_exists_in_both_languages() -> None:
    names = {path.name for path in TEMPLATES.glob("*.txt")}

    assert {name.replace(".de.", ".en.") for name in names if ".de." in name} == {
        name for name in names if ".en." in name
    }
    assert len(names) >= 2 * len(LETTERS)


def test_a_mail_with_a_missing_value_is_not_rendered() -> None:
    with pytest.raises(UndefinedError):
        render("invite", "en", reader="Mira")


def test_markup_in_a_value_stays_text() -> None:
    rendered = render(
        "invite", "en", link=None, **VALUES | {"details": "<script>x</script>", "reader": '"><b>'}
    )

    assert "<script>" in rendered.text
    assert "<script>" not in rendered.html
    assert "<b>" not in rendered.html


def test_a_web_link_can_be_clicked_and_anything_else_cannot() -> None:
    web = render("invite", "en", link="https://meet.example.org/a?b=1&c=2", **VALUES)
    other = render("invite", "en", link="javascript:alert(1)", **VALUES)

    assert '<a href="https://meet.example.org/a?b=1&amp;c=2">' in web.html
    assert "href" not in other.html


def test_a_name_never_becomes_more_than_one_line() -> None:
    assert one_line("x\r\nSubject: y\u2028\tz ") == "x Subject: y z"
