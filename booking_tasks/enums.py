"""The values of statuses, states and types: written once, used by tables, rules and contracts."""

from __future__ import annotations

from enum import StrEnum


class RequestStatus(StrEnum):
    """The status of a consultation request."""

    PENDING = "pending"
    PENDING_ASSIGNMENT = "pending_assignment"
    PENDING_CONFIRMATION = "pending_confirmation"
    SCHEDULED = "scheduled"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    REJECTED = "rejected"


class SessionStatus(StrEnum):
    """The status of a scheduled session."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED_BY_USER = "cancelled_by_user"
    CANCELLED_BY_CONSULTANT = "cancelled_by_consultant"
    NO_SHOW_USER = "no_show_user"
    NO_SHOW_CONSULTANT = "no_show_consultant"
    ATTENDANCE_UNKNOWN = "attendance_unknown"


class SlotStatus(StrEnum):
    """The status of a row of the slot ledger: a window, a hold, a booking or a block."""

    AVAILABLE = "available"
    HELD = "held"
    BOOKED = "booked"
    UNAVAILABLE = "unavailable"


class OccupiedRole(StrEnum):
    """Why a person is occupied: serves a session, requested it, or may get its time back."""

    CONSULTANT = "consultant"
    REQUESTER = "requester"
    KEPT = "kept"


class Attendance(StrEnum):
    """Whether one side of a session was there."""

    ATTENDED = "attended"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Party(StrEnum):
    """One of the two sides of a session."""

    REQUESTER = "requester"
    CONSULTANT = "consultant"


class InviteMethod(StrEnum):
    """The methods of mails with an event (RFC 5546): an invitation or update, and a cancellation."""

    REQUEST = "REQUEST"
    CANCEL = "CANCEL"


class JobState(StrEnum):
    """The state of a job row."""

    WAITING = "waiting"
    LEASED = "leased"
    SENDING = "sending"
    DONE = "done"
    SKIPPED = "skipped"
    UNCERTAIN = "uncertain"
    DEAD = "dead"


class Target(StrEnum):
    """What a job's effect goes to; a failure of one target says nothing about the others."""

    MEETINGS = "meetings"
    MAIL = "mail"
    EVENTS = "events"


class PutOffReason(StrEnum):
    """Why a job waits for its next try.

    `put_off`: the target answered "later" to this one effect. `put_off_again`: the same, after several
    recoveries of the target, so that this effect may be the cause and not the target. `recovered`: the target
    answered another job, so this one is tried within a minute. `directory`: the directory cannot address the
    person yet.
    """

    UNREACHABLE = "unreachable"
    NOT_READY = "not_ready"
    LOGIN_REFUSED = "login_refused"
    RATE_LIMITED = "rate_limited"
    REPLY_LOST = "reply_lost"
    PUT_OFF = "put_off"
    PUT_OFF_AGAIN = "put_off_again"
    RECOVERED = "recovered"
    DIRECTORY = "directory"
    SNOOZED = "snoozed"
    HELD_UP = "held_up"
    FAILED = "failed"


class InboxState(StrEnum):
    """The state of an inbound message."""

    RECEIVED = "received"
    DONE = "done"
    DEAD = "dead"


class EvidenceType(StrEnum):
    """What one piece of attendance evidence reports."""

    JOINED = "joined"
    LEFT = "left"
    ROOM_OPENED = "room_opened"
    ROOM_CLOSED = "room_closed"
    REPORT_COMPLETE = "report_complete"


class FeedType(StrEnum):
    """The protocol by which an outside calendar is read."""

    ICS = "ics"
    CALDAV = "caldav"


class ReplyAnswer(StrEnum):
    """The answer that a calendar reports for its owner (PARTSTAT, RFC 5545 section 3.2.12)."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    TENTATIVE = "tentative"


class Authentication(StrEnum):
    """What the receiving mail server proved of a mail's sender; `unchecked`: no server is trusted to say."""

    PASSED = "passed"
    FAILED = "failed"
    UNREADABLE = "unreadable"
    UNCHECKED = "unchecked"


class Resolution(StrEnum):
    """How a confirmation request ended; withdrawn is any end without the consultant's answer in time."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    UNANSWERED = "unanswered"
    WITHDRAWN = "withdrawn"


class WhenAllDeclined(StrEnum):
    """What happens to a request when every possible consultant was asked and nobody accepted."""

    WAIT = "wait"
    REJECT = "reject"


class Fallback(StrEnum):
    """Who else may serve a request that names a preferred consultant."""

    ANYONE = "anyone"
    WAIT = "wait"
    ONLY = "only"


class Term(StrEnum):
    """A term of the assignment score (docs/assignment.md)."""

    PREFERENCE = "preference"
    PRIORITY = "priority"
    FAIRNESS = "fairness"
    EARLIEST = "earliest"
    SPECIALIZATION = "specialization"
    CONTINUITY = "continuity"
    LOCAL_TIME = "local_time"


class CreditType(StrEnum):
    """Why an entry of the fairness ledger exists."""

    ASSIGNMENT = "assignment"
    REVERSAL = "reversal"
    NEWCOMER = "newcomer"
    LEAVE = "leave"
    NO_SHOW = "no_show"
    CALIBRATION = "calibration"


class WaitingList(StrEnum):
    """What happens when time becomes free for a request that waits."""

    OFFER = "offer"
    BOOK = "book"


class BatchMethod(StrEnum):
    """The method by which a batch plan was found."""

    GREEDY = "greedy"
    MATCHING = "matching"
    ROUNDS = "rounds"
    SEARCH = "search"


class OfferState(StrEnum):
    """The state of a time offer."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


class PlanState(StrEnum):
    """The state of an absence plan."""

    DRAFT = "draft"
    APPLIED = "applied"
    ANNOUNCED = "announced"
    UNDONE = "undone"


class StepAction(StrEnum):
    """What an absence plan does with one session."""

    REASSIGN = "reassign"
    PROPOSE = "propose"
    CANCEL = "cancel"


class StepState(StrEnum):
    """The state of one step of an absence plan."""

    PLANNED = "planned"
    APPLIED = "applied"
    OFFERED = "offered"
    DONE = "done"
    CANCELLED = "cancelled"
    UNDONE = "undone"
    OVERTAKEN = "overtaken"


class WarningCode(StrEnum):
    """What a command that was done leaves to be put right.

    `unknown_person`: the directory has no entry of this person. `unusable_address`: it has an address that no
    mail can reach. Their mail waits for `upsert_user`.
    """

    UNKNOWN_PERSON = "unknown_person"
    UNUSABLE_ADDRESS = "unusable_address"


class RefusalCode(StrEnum):
    """Why a command was refused. Each code has one cause; the commands say which of them they return."""

    UNKNOWN_SERVICE_TYPE = "unknown_service_type"
    UNKNOWN_CONSULTANT = "unknown_consultant"
    UNKNOWN_REQUEST = "unknown_request"
    UNKNOWN_SESSION = "unknown_session"
    UNKNOWN_HOLD = "unknown_hold"
    UNKNOWN_OFFER = "unknown_offer"
    UNKNOWN_EVENT = "unknown_event"
    UNKNOWN_PLAN = "unknown_plan"
    UNKNOWN_PROPOSAL = "unknown_proposal"
    UNKNOWN_LEAVE = "unknown_leave"
    UNKNOWN_HOLIDAY_REGION = "unknown_holiday_region"
    REQUEST_EXISTS = "request_exists"
    SERIES_EXISTS = "series_exists"
    PLAN_EXISTS = "plan_exists"
    LEAVE_EXISTS = "leave_exists"
    NAME_TAKEN = "name_taken"
    ADDRESS_OF_SERVICE = "address_of_service"
    OTHER_CONSULTANT = "other_consultant"
    WINDOW_OVER = "window_over"
    CONTRADICTORY_PREFERENCE = "contradictory_preference"
    PREFERRED_CANNOT = "preferred_cannot"
    NOBODY_LEFT = "nobody_left"
    CONTRADICTORY_WEIGHTS = "contradictory_weights"
    CONTRADICTORY_ALIASES = "contradictory_aliases"
    NOT_WAITING = "not_waiting"
    NOT_ASSIGNED_CONSULTANT = "not_assigned_consultant"
    OTHER_CONFIRMATION_REQUEST = "other_confirmation_request"
    HOLD_EXPIRED = "hold_expired"
    NOT_HELD = "not_held"
    LONGEST_HOLD = "longest_hold"
    OFFER_EXPIRED = "offer_expired"
    OFFER_OVER = "offer_over"
    ALREADY_SCHEDULED = "already_scheduled"
    ALREADY_STARTED = "already_started"
    ALREADY_ENDED = "already_ended"
    SESSIONS_AHEAD = "sessions_ahead"
    CANCELLED = "cancelled"
    NOT_STARTED = "not_started"
    NOT_ENDED = "not_ended"
    ATTENDANCE_UNKNOWN = "attendance_unknown"
    SLOT_NOT_FREE = "slot_not_free"
    SLOT_TAKEN = "slot_taken"
    REQUESTER_BUSY = "requester_busy"
    NOTICE_TOO_SHORT = "notice_too_short"
    BEYOND_HORIZON = "beyond_horizon"
    LIMIT_REACHED = "limit_reached"
    AT_CAPACITY = "at_capacity"
    MUST_BE_CONFIRMED = "must_be_confirmed"
    CONFLICTS = "conflicts"
    IS_THE_REQUESTER = "is_the_requester"
    NOT_AVAILABLE_FOR_BOOKING = "not_available_for_booking"
    SERVICE_NOT_OFFERED = "service_not_offered"
    SERVICE_TYPE_INACTIVE = "service_type_inactive"
    NOT_FOR_COMPANY = "not_for_company"
    MISSING_SPECIALIZATION = "missing_specialization"
    MISSING_LANGUAGE = "missing_language"
    EXCLUDED = "excluded"
    NOBODY_CAN = "nobody_can"
    TOO_MANY_SESSIONS = "too_many_sessions"
    PLAN_OUTDATED = "plan_outdated"
    ALREADY_UNDONE = "already_undone"
    NOT_APPLIED = "not_applied"
    ALREADY_ANNOUNCED = "already_announced"
    NOT_OFFERED = "not_offered"
    OVERLAPPING_HOURS = "overlapping_hours"
    NEVER_HAPPENS = "never_happens"
    PRIVATE_ADDRESS = "private_address"
    TOO_MANY_FEEDS = "too_many_feeds"
    UNREADABLE = "unreadable"
    NOT_A_REPLY = "not_a_reply"
    COUNTER_PROPOSAL = "counter_proposal"
    NOT_AUTHENTICATED = "not_authenticated"
    WRONG_PERSON = "wrong_person"
    STALE = "stale"
    NO_ANSWER = "no_answer"
    INVALID = "invalid"
    CONFLICT = "conflict"
    DEAD = "dead"
    PARKED = "parked"
