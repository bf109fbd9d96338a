"""The service as a release before `submit_request` would be: `celery -A tests.messages.earlier_release`."""

from __future__ import annotations

from booking_tasks.celery import app
from tests.messages.raw import PREFIX

app.loader.import_default_modules()
app.finalize()
del app.tasks[PREFIX + "submit_request"]
