"""The service as a release before `submit_request` and one of the sweeps would be.

`celery -A tests.messages.earlier_release`
"""

from __future__ import annotations

from booking_tasks.celery import app
from tests.messages.raw import PREFIX

app.loader.import_default_modules()
app.finalize()
for name in ("submit_request", "refresh_calendars"):
    del app.tasks[PREFIX + name]
