"""Statements, and the roles of PostgreSQL that may run them."""

from __future__ import annotations

JOB = "INSERT INTO jobs (key, job_type, subject_id, due_at) VALUES ('k', 'x', gen_random_uuid(), now())"
EVENT = (
    "INSERT INTO events (id, type, occurred_at, actor, entry_point)"
    " VALUES (gen_random_uuid(), 'session.started', now(), 'jobs', 'sweep')"
)

_WRITERS = {"booking_migrator", "booking_app"}
_EVERYBODY = {*_WRITERS, "booking_web", "booking_reader"}

#: Statement -> the roles that may run it; nobody else may.
MATRIX: dict[str, set[str]] = {
    # rows
    "SELECT state FROM jobs": {"booking_migrator", "booking_app", "booking_reader"},
    "SELECT * FROM free_slots": {"booking_migrator", "booking_app", "booking_reader"},
    "SELECT count(*) FROM alembic_version": _EVERYBODY,
    "SELECT status, requester_user_id FROM consultation_requests": _EVERYBODY,
    "SELECT instant FROM stepped_clock": _EVERYBODY,
    "SELECT person_id, span FROM occupied_times": _EVERYBODY,
    "SELECT * FROM allowed_steps": _EVERYBODY,
    "SELECT span FROM occupied_times FOR UPDATE": {"booking_migrator"},
    JOB: {*_WRITERS, "booking_web"},
    "UPDATE jobs SET attempts = attempts + 1": _WRITERS,
    "DELETE FROM jobs": {"booking_migrator", "booking_app"},
    "SELECT id FROM jobs FOR UPDATE SKIP LOCKED": {"booking_migrator", "booking_app"},
    "SELECT pg_advisory_xact_lock(1)": _EVERYBODY,
    # history is written and forgotten, not rewritten
    EVENT: {*_WRITERS, "booking_web"},
    "DELETE FROM events": {"booking_migrator", "booking_app"},
    "SELECT id FROM events FOR UPDATE SKIP LOCKED": {"booking_migrator", "booking_app"},
    "UPDATE events SET actor = 'somebody else'": {"booking_migrator"},
    "UPDATE events SET reason = NULL": {"booking_migrator"},
    # who people are and what they wrote
    "SELECT name FROM directory_users": {*_WRITERS, "booking_web"},
    "SELECT email FROM directory_users": {*_WRITERS, "booking_web"},
    "SELECT request_details FROM consultation_requests": {*_WRITERS, "booking_web"},
    "SELECT body FROM inbox": {*_WRITERS, "booking_web"},
    "SELECT arguments FROM parked_messages": {"booking_migrator", "booking_app"},
    "SELECT payload FROM jobs": {"booking_migrator", "booking_app"},
    "SELECT status_reason FROM consultation_requests": {*_WRITERS, "booking_web"},
    "SELECT status_reason FROM scheduled_sessions": {*_WRITERS, "booking_web"},
    "SELECT reason FROM absence_plans": {"booking_migrator", "booking_app"},
    "SELECT url FROM calendar_feeds": {"booking_migrator", "booking_app"},
    "SELECT username FROM calendar_feeds": {"booking_migrator", "booking_app"},
    "SELECT password FROM calendar_feeds": {"booking_migrator", "booking_app"},
    "SELECT addresses FROM calendar_feeds": {"booking_migrator", "booking_app"},
    "SELECT good_at, last_error FROM calendar_feeds": {"booking_migrator", "booking_app", "booking_reader"},
    "SELECT after FROM events": {*_WRITERS, "booking_web"},
    # what an answer on a page changes, and nothing beside it
    "SELECT id FROM scheduled_sessions FOR UPDATE": {*_WRITERS, "booking_web"},
    "SELECT FROM consultant_profiles FOR NO KEY UPDATE": {*_WRITERS, "booking_web"},
    "UPDATE consultation_requests SET status_reason = NULL": {*_WRITERS, "booking_web"},
    "UPDATE consultation_requests SET request_details = NULL WHERE false": _WRITERS,
    "UPDATE consultation_requests SET requester_user_id = requester_user_id WHERE false": _WRITERS,
    "UPDATE scheduled_sessions SET revision = revision": {*_WRITERS, "booking_web"},
    "UPDATE scheduled_sessions SET billed_amount = NULL WHERE false": _WRITERS,
    "UPDATE scheduled_sessions SET outcome_notes = NULL WHERE false": _WRITERS,
    "UPDATE scheduled_sessions SET meeting_platform_join_url = NULL WHERE false": _WRITERS,
    "UPDATE scheduled_sessions SET requester_attendance = NULL WHERE false": _WRITERS,
    "UPDATE scheduled_sessions SET requester_user_id = requester_user_id WHERE false": _WRITERS,
    "UPDATE time_offers SET state = state, ended_at = ended_at": {*_WRITERS, "booking_web"},
    "UPDATE absence_plan_steps SET state = state": {*_WRITERS, "booking_web"},
    "UPDATE inbox SET attempts = attempts": {*_WRITERS, "booking_web"},
    "DELETE FROM consultant_availability_slots WHERE false": {*_WRITERS, "booking_web"},
    "UPDATE consultant_availability_slots SET held_until = held_until WHERE false": {
        *_WRITERS,
        "booking_web",
    },
    "UPDATE consultant_availability_slots SET start_time = start_time WHERE false": _WRITERS,
    "INSERT INTO dead_letters (task, entry_point, reason) VALUES ('t', 'web', 'r')": {
        *_WRITERS,
        "booking_web",
    },
    "UPDATE time_offers SET offered_until = now()": _WRITERS,
    "UPDATE absence_plan_steps SET consultant_user_id = NULL": _WRITERS,
    "UPDATE consultant_profiles SET time_zone = 'UTC'": _WRITERS,
    "UPDATE consultation_service_types SET name = name": _WRITERS,
    "UPDATE directory_users SET email = email": _WRITERS,
    "UPDATE assignment_credits SET amount = amount": _WRITERS,
    "UPDATE jobs SET args = args": _WRITERS,
    "UPDATE inbox SET task = task WHERE false": _WRITERS,
    "UPDATE jobs SET state = state WHERE false": _WRITERS,
    "INSERT INTO jobs (key, state) SELECT 'k', 'done' WHERE false": _WRITERS,
    "INSERT INTO time_offers SELECT * FROM time_offers WHERE false": _WRITERS,
    "INSERT INTO directory_users SELECT * FROM directory_users WHERE false": _WRITERS,
    "DELETE FROM inbox WHERE false": _WRITERS,
    "DELETE FROM consultation_requests WHERE false": _WRITERS,
    "DELETE FROM scheduled_sessions WHERE false": _WRITERS,
    "SELECT args FROM jobs": {*_WRITERS, "booking_reader"},
    "SELECT candidates FROM assignment_decisions": {*_WRITERS, "booking_reader"},
    "SELECT id FROM calendar_feeds": {*_WRITERS, "booking_reader"},
    "SELECT id FROM attendance_evidence": {*_WRITERS, "booking_reader"},
    "SELECT payload FROM dead_letters": {*_WRITERS, "booking_reader"},
    "SELECT state FROM absence_plans": {*_WRITERS, "booking_reader"},
    "SELECT mailbox FROM session_mailboxes": _WRITERS,
    "SELECT last_error FROM jobs": _WRITERS,
    "DELETE FROM assignment_credits WHERE false": _WRITERS,
    "DELETE FROM time_offers WHERE false": _WRITERS,
    # what the schema is, and what time it is
    "UPDATE alembic_version SET version_num = 'x'": {"booking_migrator"},
    "DELETE FROM alembic_version": {"booking_migrator"},
    "UPDATE stepped_clock SET instant = now()": {"booking_migrator"},
    "INSERT INTO stepped_clock (instant) VALUES (now()) ON CONFLICT DO NOTHING": {"booking_migrator"},
    "ALTER TABLE jobs ADD COLUMN extra int": {"booking_migrator"},
    "ALTER TABLE jobs DROP CONSTRAINT ck_jobs_state": {"booking_migrator"},
    "ALTER TABLE consultant_availability_slots DROP CONSTRAINT ex_consultant_availability_slots_windows": {
        "booking_migrator"
    },
    "DROP TABLE jobs": {"booking_migrator"},
    "TRUNCATE jobs": {"booking_migrator"},
    "TRUNCATE inbox": {"booking_migrator"},
    "TRUNCATE consultant_availability_slots CASCADE": {"booking_migrator"},
    "CREATE INDEX ON jobs (args)": {"booking_migrator"},
    "CREATE TRIGGER t BEFORE INSERT ON jobs EXECUTE FUNCTION suppress_redundant_updates_trigger()": {
        "booking_migrator",
    },
    "CREATE TABLE public.mine (id int)": {"booking_migrator"},
    "CREATE FUNCTION public.busy_time_v1() RETURNS int LANGUAGE sql AS 'SELECT 1'": {"booking_migrator"},
    "DROP FUNCTION free_starts_v3": {"booking_migrator"},
    "CREATE SCHEMA elsewhere": {"booking_migrator"},
    # nobody but the cluster's own
    "CREATE TEMPORARY TABLE jobs (id int)": set(),
    "CREATE ROLE another": set(),
    "ALTER ROLE booking_app SUPERUSER": set(),
    "CREATE DATABASE another": set(),
    "SET ROLE postgres": set(),
    "SET session_replication_role = replica": set(),
    "COPY jobs TO PROGRAM 'cat'": set(),
    "COPY jobs TO '/tmp/jobs'": set(),
    "SELECT pg_read_file('/etc/passwd')": set(),
    "SELECT rolpassword FROM pg_authid": set(),
    "ALTER SYSTEM SET fsync = off": set(),
    "CREATE EXTENSION file_fdw": set(),
}
