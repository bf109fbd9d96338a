"""The public task of series."""

from __future__ import annotations

from booking_tasks.contracts import BookSeries
from booking_tasks.inbox.receiver import accepts
from booking_tasks.series import service

book_series = accepts(BookSeries)(service.book_series)
