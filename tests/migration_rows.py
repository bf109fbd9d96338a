"""Rows for every step of the migrations: step -> table -> SQL. They use what the step itself knows.

A new step must add its own entry; rows that are already there are left alone.
"""

from __future__ import annotations

_TYPE = "'00000000-0000-7000-8000-000000000001'"
_CONSULTANT = "'00000000-0000-7000-8000-000000000002'"
_REQUESTER = "'00000000-0000-7000-8000-000000000003'"
_REQUEST = "'00000000-0000-7000-8000-000000000004'"
_SESSION = "'00000000-0000-7000-8000-000000000005'"
_OTHER = "'00000000-0000-7000-8000-000000000006'"

ROWS: dict[str, dict[str, str]] = {
    "0001_baseline": {
        "consultation_service_types": f"""
            INSERT INTO consultation_service_types (id, name, default_duration_minutes)
            VALUES ({_TYPE}, 'Algebra', 60) ON CONFLICT DO NOTHING
        """,
        "consultant_profiles": f"""
            INSERT INTO consultant_profiles (consultant_user_id, specializations, time_zone)
            VALUES ({_CONSULTANT}, '{{algebra}}', 'Europe/Vienna') ON CONFLICT DO NOTHING
        """,
        "availability_rules": f"""
            INSERT INTO availability_rules (consultant_user_id, weekday, start_local, end_local)
            VALUES ({_CONSULTANT}, 1, '09:00', '17:00') ON CONFLICT DO NOTHING
        """,
        "directory_users": f"""
            INSERT INTO directory_users (user_id, name, email)
            VALUES ({_REQUESTER}, 'Mira Lang', 'mira@example.org') ON CONFLICT DO NOTHING
        """,
        "consultation_requests": f"""
            INSERT INTO consultation_requests (id, requester_user_id, consultation_service_type_id, status)
            VALUES ({_REQUEST}, {_REQUESTER}, {_TYPE}, 'scheduled'),
                   ({_OTHER}, {_REQUESTER}, {_TYPE}, 'pending')
            ON CONFLICT DO NOTHING
        """,
        # the circle is closed: the request names the session that names it
        "scheduled_sessions": f"""
            INSERT INTO scheduled_sessions (
                id, consultation_request_id, requester_user_id, consultant_user_id,
                consultation_service_type_id, scheduled_start_time, scheduled_end_time
            )
            VALUES (
                {_SESSION}, {_REQUEST}, {_REQUESTER}, {_CONSULTANT}, {_TYPE},
                '2027-03-01 10:00Z', '2027-03-01 11:00Z'
            )
            ON CONFLICT DO NOTHING;
            UPDATE consultation_requests SET scheduled_session_id = {_SESSION} WHERE id = {_REQUEST}
        """,
        "assignment_decisions": f"""
            INSERT INTO assignment_decisions (
                id, consultation_request_id, decided_at, policy_version, reason, inputs, candidates
            )
            VALUES ({_OTHER}, {_REQUEST}, '2027-02-01 09:00Z', '1', 'earliest', '{{}}', '[]')
            ON CONFLICT DO NOTHING
        """,
        "consultant_availability_slots": f"""
            INSERT INTO consultant_availability_slots (
                id, consultant_user_id, start_time, end_time, status, consultation_request_id,
                scheduled_session_id, requester_user_id, session_start_time, session_end_time,
                held_until, hold_token
            )
            VALUES
                ({_CONSULTANT}, {_CONSULTANT}, '2027-03-01 09:00Z', '2027-03-01 17:00Z', 'available',
                 NULL, NULL, NULL, NULL, NULL, NULL, NULL),
                ({_SESSION}, {_CONSULTANT}, '2027-03-01 10:00Z', '2027-03-01 11:00Z', 'booked',
                 {_REQUEST}, {_SESSION}, {_REQUESTER}, '2027-03-01 10:00Z', '2027-03-01 11:00Z', NULL, NULL),
                ({_REQUESTER}, {_CONSULTANT}, '2027-03-01 12:00Z', '2027-03-01 13:00Z', 'held',
                 {_OTHER}, NULL, {_REQUESTER}, '2027-03-01 12:00Z', '2027-03-01 13:00Z',
                 '2087-02-01 10:00Z', {_OTHER}),
                ({_OTHER}, {_CONSULTANT}, '2027-03-01 14:00Z', '2027-03-01 15:00Z', 'unavailable',
                 NULL, NULL, NULL, NULL, NULL, NULL, NULL)
            ON CONFLICT DO NOTHING
        """,
        "jobs": f"""
            INSERT INTO jobs (key, job_type, subject_id, due_at, state, lease_token, lease_until, finished_at)
            VALUES ('a', 'send_invite', {_SESSION}, '2027-02-01 09:00Z', 'waiting', NULL, NULL, NULL),
                   ('b', 'send_invite', {_SESSION}, '2027-02-01 09:00Z', 'leased', {_OTHER}, now(), NULL),
                   ('c', 'send_invite', {_SESSION}, '2027-02-01 09:00Z', 'done', NULL, NULL, now())
            ON CONFLICT DO NOTHING
        """,
        "events": f"""
            INSERT INTO events (id, type, occurred_at, scheduled_session_id, actor, entry_point)
            VALUES ({_OTHER}, 'session.scheduled', '2027-02-01 09:00Z', {_SESSION}, 'jobs', 'sweep')
            ON CONFLICT DO NOTHING
        """,
        "inbox": f"""
            INSERT INTO inbox (message_id, task, body_hash, entry_point, body)
            VALUES ({_OTHER}, 'submit_request', 'x', 'booking', '{{}}') ON CONFLICT DO NOTHING
        """,
        "dead_letters": f"""
            INSERT INTO dead_letters (id, task, entry_point, reason)
            VALUES ({_OTHER}, 'submit_request', 'booking', 'not JSON') ON CONFLICT DO NOTHING
        """,
        "attendance_evidence": f"""
            INSERT INTO attendance_evidence (
                scheduled_session_id, evidence_type, party, observed_at, source, external_id
            )
            VALUES ({_SESSION}, 'joined', 'requester', '2027-03-01 10:01Z', 'platform', 'one')
            ON CONFLICT DO NOTHING
        """,
        "schedule_runs": """
            INSERT INTO schedule_runs (schedule, due_day) VALUES ('purge', '2027-03-01')
            ON CONFLICT DO NOTHING
        """,
        "stepped_clock": """
            INSERT INTO stepped_clock (instant) VALUES ('2027-03-01 09:00Z') ON CONFLICT DO NOTHING
        """,
        "parked_messages": """
            INSERT INTO parked_messages (task, queue, body_hash, arguments)
            VALUES ('booking_tasks.v2.submit_request', 'booking', 'x', '{"request": {}}')
            ON CONFLICT DO NOTHING
        """,
        "availability_plans": f"""
            INSERT INTO availability_plans (consultant_user_id, plan)
            VALUES ({_CONSULTANT}, '{{"overrides": [{{"day": "2027-05-03"}}]}}') ON CONFLICT DO NOTHING
        """,
        "consultant_leaves": f"""
            INSERT INTO consultant_leaves (id, consultant_user_id, start_local, end_local, reason)
            VALUES ({_OTHER}, {_CONSULTANT}, '2027-03-08', '2027-03-13', 'holiday') ON CONFLICT DO NOTHING
        """,
        "availability_projections": f"""
            INSERT INTO availability_projections (consultant_user_id, projected_until, tzdata_version)
            VALUES ({_CONSULTANT}, '2027-05-30', '2026f') ON CONFLICT DO NOTHING
        """,
        "consultant_policies": f"""
            INSERT INTO consultant_policies (
                consultant_user_id, consultation_service_type_id, max_sessions_per_day
            )
            VALUES ({_CONSULTANT}, {_TYPE}, 3) ON CONFLICT DO NOTHING
        """,
        "calendar_feeds": f"""
            INSERT INTO calendar_feeds (consultant_user_id, feed_type, url)
            SELECT {_CONSULTANT}, 'ics', 'https://calendar.example/token.ics'
             WHERE NOT EXISTS (SELECT FROM calendar_feeds)
        """,
        "assignment_credits": f"""
            INSERT INTO assignment_credits (
                id, consultation_service_type_id, consultant_user_id, credit_type, amount, credited_at,
                consultation_request_id
            )
            VALUES ({_OTHER}, {_TYPE}, {_CONSULTANT}, 'assignment', 1, '2027-02-01 09:00Z', {_REQUEST})
            ON CONFLICT DO NOTHING
        """,
        "assignment_balances": f"""
            INSERT INTO assignment_balances (consultation_service_type_id, consultant_user_id, credits)
            VALUES ({_TYPE}, {_CONSULTANT}, 1) ON CONFLICT DO NOTHING
        """,
        "time_offers": f"""
            INSERT INTO time_offers (
                consultation_request_id, consultant_user_id, start_time, end_time, hold_token, state,
                offered_at, offered_until, ended_at
            )
            VALUES ({_OTHER}, {_CONSULTANT}, '2027-03-01 12:00Z', '2027-03-01 13:00Z', {_OTHER}, 'lapsed',
                    '2027-02-01 09:00Z', '2027-02-01 10:00Z', '2027-02-01 10:00Z')
            ON CONFLICT DO NOTHING
        """,
        "specialization_aliases": """
            INSERT INTO specialization_aliases (alias, specialization) VALUES ('maths', 'mathematics')
            ON CONFLICT DO NOTHING
        """,
        "assignment_batches": f"""
            INSERT INTO assignment_batches (
                id, planned_at, requests, pairs, served, score, served_bound, score_bound, method,
                is_complete, timed_out, seconds, "left"
            )
            VALUES (
                {_OTHER}, '2027-02-01 09:00Z', 2, 3, 1, 9, 2, 18, 'greedy', true, false, 0.1,
                '{{"outmatched": ["00000000-0000-7000-8000-000000000006"]}}'
            )
            ON CONFLICT DO NOTHING
        """,
        "absence_plans": f"""
            INSERT INTO absence_plans (id, consultant_user_id, reason, actor, planned_at)
            VALUES ({_OTHER}, {_CONSULTANT}, 'ill', 'desk', '2027-02-01 09:00Z') ON CONFLICT DO NOTHING
        """,
        "absence_plan_steps": f"""
            INSERT INTO absence_plan_steps (
                plan_id, scheduled_session_id, position, session_revision, action, reason
            )
            VALUES ({_OTHER}, {_SESSION}, 1, 0, 'cancel', 'nobody_can') ON CONFLICT DO NOTHING
        """,
    },
    "0002_put_off_jobs": {
        "sweep_runs": """
            INSERT INTO sweep_runs (sweep, published_at, succeeded_at)
            VALUES ('purge', '2027-03-01 09:00Z', '2027-03-01 09:01Z') ON CONFLICT DO NOTHING
        """,
    },
    "0003_indexes_of_open_jobs": {},
    "0004_occupied_times": {
        # The step and the triggers of the slot ledger fill it; here with the former time of an absence plan.
        "occupied_times": f"""
            INSERT INTO consultant_availability_slots (
                id, consultant_user_id, start_time, end_time, status, source
            )
            VALUES (
                {_REQUEST}, {_CONSULTANT}, '2027-03-01 16:00Z', '2027-03-01 17:00Z', 'unavailable', 'absence'
            )
            ON CONFLICT DO NOTHING
        """,
        # The step itself fills it.
        "allowed_steps": "SELECT count(*) FROM allowed_steps",
    },
    "0005_recoveries_of_jobs": {},
    "0006_past_counts": {
        "past_counts": f"""
            INSERT INTO past_counts (
                month, consultation_service_type_id, request_status, session_status, number
            )
            VALUES ('2023-03-01', {_TYPE}, 'completed', 'completed', 7) ON CONFLICT DO NOTHING
        """,
    },
    "0007_indexes_of_retention": {},
    "0008_forgotten_people": {
        "forgotten_people": f"""
            INSERT INTO forgotten_people (person_id, forgotten_at)
            VALUES ({_OTHER}, '2027-03-01 09:00Z') ON CONFLICT DO NOTHING
        """,
    },
    "0009_session_mailboxes": {
        "session_mailboxes": f"""
            INSERT INTO session_mailboxes (
                scheduled_session_id, user_id, party, mailbox, address, method, sequence, invited_sequence
            )
            VALUES (
                {_SESSION}, {_REQUESTER}, 'requester', 'mira@example.org', 'Mira@example.org', 'REQUEST', 1, 0
            )
            ON CONFLICT DO NOTHING
        """,
    },
    "0010_billed_currency": {},
    "0011_limits_of_series": {},
    "0012_counts_of_calendars": {},
    "0013_counted_starts": {},
    "0014_tentative_entries": {},
}
