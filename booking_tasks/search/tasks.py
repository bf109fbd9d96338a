"""The search's public task."""

from __future__ import annotations

from booking_tasks.contracts import SearchSlots
from booking_tasks.inbox.receiver import answers
from booking_tasks.search import service

search_slots = answers(SearchSlots)(service.search_slots)
