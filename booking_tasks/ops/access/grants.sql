-- The grants of booking_app, booking_web and booking_reader on the existing tables. Their owner or a superuser runs
-- this after every migration; `booking-tasks migrate` does.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, booking_app, booking_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO booking_app;

-- The application may read the step of the schema, the stepped clock, who is where (triggers write that, with the
-- owner's rights) and the allowed steps, and not change them.
-- The history is inserted and deleted when it is old, never updated, except by forget_in_events, which nobody else
-- may call. (Locking a row needs the right to update some column: `position` is numbered by PostgreSQL itself.)
DO $$
BEGIN
    IF to_regclass('public.alembic_version') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.alembic_version FROM booking_app;
    END IF;
    IF to_regclass('public.stepped_clock') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.stepped_clock FROM booking_app;
    END IF;
    IF to_regclass('public.occupied_times') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.occupied_times, public.allowed_steps FROM booking_app;
    END IF;
    IF to_regclass('public.events') IS NOT NULL THEN
        REVOKE UPDATE ON public.events FROM booking_app;
        GRANT UPDATE (position) ON public.events TO booking_app;
    END IF;
    IF to_regproc('public.forget_in_events_v1') IS NOT NULL THEN
        REVOKE ALL ON FUNCTION public.forget_in_events_v1 FROM PUBLIC, booking_reader;
        GRANT EXECUTE ON FUNCTION public.forget_in_events_v1 TO booking_app;
    END IF;
END
$$;

-- The web pages get what their routes need, column by column, and nothing else, so a new table or column is hidden
-- until it is added to this list. They show requests, sessions, offers and names; an answer is a message that books,
-- declines, moves or cancels, with its event and its jobs. A row that the code loads whole is listed whole. Of a
-- consultant they may lock the row, for which PostgreSQL wants the right to update some column of it.
-- Roles that an older release made do not include this one: roles.sql makes it.
DO $$
DECLARE
    one record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'booking_web') THEN
        RETURN;
    END IF;
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM booking_web;
    IF to_regclass('public.consultant_availability_slots') IS NOT NULL THEN
        GRANT DELETE ON public.consultant_availability_slots TO booking_web; -- the reservation that an answer ends
    END IF;
    FOR one IN
        SELECT a.attrelid::regclass AS tab, allowed.privilege,
               string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS cols
          FROM (VALUES
               ('absence_plan_steps', 'SELECT', '
                    id, plan_id, scheduled_session_id, position, session_revision, action, reason,
                    consultant_user_id, start_time, end_time, state, booking_id, block_id, hold_id, answer_by,
                    before, created_at
               '),
               ('absence_plan_steps', 'UPDATE', '
                    state
               '),
               ('alembic_version', 'SELECT', '
                    version_num
               '),
               ('allowed_steps', 'SELECT', '
                    aggregate, before, after
               '),
               ('assignment_credits', 'SELECT', '
                    id, consultation_service_type_id, consultant_user_id, credit_type, amount, credited_at,
                    consultation_request_id, reverses, cause_id, reason, is_counted, created_at
               '),
               ('assignment_credits', 'INSERT', '
                    id, consultation_service_type_id, consultant_user_id, credit_type, amount, credited_at,
                    consultation_request_id, reverses, reason
               '),
               ('assignment_decisions', 'INSERT', '
                    id, consultation_request_id, decided_at, policy_version, consultant_user_id, start_time, reason,
                    inputs, candidates
               '),
               ('availability_plans', 'SELECT', '
                    consultant_user_id, plan
               '),
               ('consultant_availability_slots', 'SELECT', '
                    id, consultant_user_id, start_time, end_time, is_recurring, recurrence_rule, status, source,
                    consultation_request_id, scheduled_session_id, requester_user_id, session_start_time,
                    session_end_time, held_until, hold_token, created_at, updated_at, counted_from
               '),
               ('consultant_availability_slots', 'INSERT', '
                    id, consultant_user_id, start_time, end_time, recurrence_rule, status, source,
                    consultation_request_id, scheduled_session_id, requester_user_id, session_start_time,
                    session_end_time, held_until, hold_token, updated_at, counted_from
               '),
               ('consultant_availability_slots', 'UPDATE', '
                    held_until
               '),
               ('consultant_policies', 'SELECT', '
                    consultant_user_id, consultation_service_type_id, duration_minutes, slot_step_minutes,
                    buffer_before_minutes, buffer_after_minutes, minimum_notice_minutes, horizon_days,
                    requires_confirmation, max_sessions_per_day, max_sessions_per_week, max_minutes_per_day,
                    max_minutes_per_week
               '),
               ('consultant_profiles', 'SELECT', '
                    consultant_user_id, bio, specializations, is_available_for_booking, time_zone, created_at,
                    updated_at, holiday_region, service_type_ids, company_ids, languages, assignment_weight,
                    assignment_capacity, priority_tier, unavailable_since, max_sessions_per_day,
                    max_sessions_per_week, max_minutes_per_day, max_minutes_per_week
               '),
               ('consultant_profiles', 'UPDATE', '
                    updated_at
               '),
               ('consultation_requests', 'SELECT', '
                    id, requester_user_id, company_id, consultation_service_type_id, preferred_consultant_user_id,
                    preferred_start_time, preferred_end_time, required_specializations,
                    excluded_consultant_user_ids, request_details, status, status_reason, requested_at, updated_at,
                    deadline_at, assigned_consultant_user_id, scheduled_session_id, replaces_request_id, hold_token,
                    series_id, waiting_since, offer_cooldown_until, languages, preferred_fallback, fallback_after
               '),
               ('consultation_requests', 'INSERT', '
                    id, requester_user_id, company_id, consultation_service_type_id, preferred_consultant_user_id,
                    preferred_start_time, request_details, status, requested_at, updated_at,
                    assigned_consultant_user_id, scheduled_session_id, series_id
               '),
               ('consultation_requests', 'UPDATE', '
                    excluded_consultant_user_ids, status, status_reason, updated_at, deadline_at,
                    assigned_consultant_user_id, scheduled_session_id
               '),
               ('consultation_service_types', 'SELECT', '
                    id, name, description, default_duration_minutes, is_active, slot_step_minutes,
                    buffer_before_minutes, buffer_after_minutes, minimum_notice_minutes, horizon_days,
                    requires_confirmation, created_at, updated_at, max_sessions_per_day, max_sessions_per_week,
                    max_minutes_per_day, max_minutes_per_week, confirmation_minutes, when_all_declined,
                    waiting_list, assignment_weights
               '),
               ('dead_letters', 'SELECT', '
                    id, received_at
               '),
               ('dead_letters', 'INSERT', '
                    id, task, entry_point, message_id, reason, payload
               '),
               ('directory_users', 'SELECT', '
                    user_id, name, email, time_zone, language, created_at, updated_at
               '),
               ('events', 'SELECT', '
                    id, position, type, occurred_at, consultation_request_id, scheduled_session_id,
                    consultant_user_id, actor, entry_point, message_id, reason, before, after
               '),
               ('events', 'INSERT', '
                    id, type, occurred_at, consultation_request_id, scheduled_session_id, consultant_user_id, actor,
                    entry_point, message_id, reason, before, after
               '),
               ('forgotten_people', 'SELECT', '
                    person_id, forgotten_at
               '),
               ('inbox', 'SELECT', '
                    message_id, body_hash, body, state, attempts, outcome, attempted_at
               '),
               ('inbox', 'INSERT', '
                    message_id, task, body_hash, entry_point, body, attempts
               '),
               ('inbox', 'UPDATE', '
                    body, state, attempts, outcome, attempted_at, finished_at
               '),
               ('jobs', 'SELECT', '
                    key
               '),
               ('jobs', 'INSERT', '
                    id, key, job_type, subject_id, args, due_at
               '),
               ('occupied_times', 'SELECT', '
                    reservation_id, person_id, span, held_until
               '),
               ('scheduled_sessions', 'SELECT', '
                    id, consultation_request_id, requester_user_id, consultant_user_id,
                    consultation_service_type_id, scheduled_start_time, scheduled_end_time,
                    meeting_platform_session_id, meeting_platform_join_url, status, status_reason, outcome_notes,
                    billed_amount, revision, revised_at, requester_attendance, consultant_attendance, judged_at,
                    created_at, updated_at, substitute_user_id, live_id, serving_user_id, billed_currency,
                    billed_minor_units
               '),
               ('scheduled_sessions', 'INSERT', '
                    id, consultation_request_id, requester_user_id, consultant_user_id,
                    consultation_service_type_id, scheduled_start_time, scheduled_end_time, status, revision,
                    revised_at, created_at
               '),
               ('scheduled_sessions', 'UPDATE', '
                    consultant_user_id, scheduled_start_time, scheduled_end_time, status, status_reason, revision,
                    revised_at, updated_at
               '),
               ('stepped_clock', 'SELECT', '
                    instant
               '),
               ('time_offers', 'SELECT', '
                    id, consultation_request_id, consultant_user_id, start_time, end_time, hold_token, state,
                    offered_at, offered_until, ended_at
               '),
               ('time_offers', 'UPDATE', '
                    state, ended_at
               ')
               ) AS allowed (relation, privilege, columns)
          JOIN pg_catalog.pg_class c
            ON c.relname = allowed.relation AND c.relnamespace = 'public'::regnamespace
          JOIN pg_catalog.pg_attribute a
            ON a.attrelid = c.oid
           AND a.attnum > 0
           AND NOT a.attisdropped
           AND a.attname = ANY (regexp_split_to_array(btrim(allowed.columns, E' \n'), ',\s*'))
         GROUP BY a.attrelid, allowed.privilege
    LOOP
        EXECUTE format('GRANT %s (%s) ON %s TO booking_web', one.privilege, one.cols, one.tab);
    END LOOP;
END
$$;

-- The reader gets the columns named here and no others, so a new column is hidden until it is added to this
-- list. Not in it: names, addresses, texts of people, secrets of calendars and meetings, and the content of
-- messages. A column that this step of the schema does not have is left out.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT a.attrelid::regclass AS tab, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS cols
          FROM (VALUES
               ('absence_plan_steps', '
                    id, plan_id, scheduled_session_id, position, session_revision, action,
                    reason, consultant_user_id, start_time, end_time, state, booking_id,
                    block_id, hold_id, answer_by, before, created_at
               '),
               ('absence_plans', '
                    id, consultant_user_id, starts_at, ends_at, criteria, state, actor,
                    planned_at, applied_at, announce_at, finished_at, created_at
               '),
               ('allowed_steps', '
                    aggregate, before, after
               '),
               ('alembic_version', '
                    version_num
               '),
               ('assignment_balances', '
                    consultation_service_type_id, consultant_user_id, credits, assigned_at,
                    created_at
               '),
               ('assignment_batches', '
                    id, planned_at, finished_at, requests, pairs, served, score, served_bound,
                    score_bound, method, is_complete, timed_out, seconds, applied, left
               '),
               ('assignment_credits', '
                    id, consultation_service_type_id, consultant_user_id, credit_type, amount,
                    credited_at, consultation_request_id, reverses, cause_id, is_counted,
                    created_at
               '),
               ('assignment_decisions', '
                    id, consultation_request_id, decided_at, policy_version, consultant_user_id,
                    start_time, reason, inputs, candidates
               '),
               ('attendance_evidence', '
                    id, scheduled_session_id, evidence_type, party, observed_at, source,
                    external_id, recorded_at
               '),
               ('availability_plans', '
                    consultant_user_id, plan, created_at
               '),
               ('availability_projections', '
                    consultant_user_id, projected_until, tzdata_version, changed_at
               '),
               ('availability_rules', '
                    id, consultant_user_id, weekday, local_date, start_local, end_local,
                    created_at
               '),
               ('calendar_feeds', '
                    id, consultant_user_id, feed_type, all_day_busy, etag, last_modified,
                    options_digest, read_until, due_at, lease_token, lease_until, good_at, tried_at,
                    alerted_at, failures, unreadable, missing_time, superseded, ambiguous,
                    last_error, created_at, updated_at
               '),
               ('consultant_availability_slots', '
                    id, consultant_user_id, start_time, end_time, is_recurring, recurrence_rule,
                    status, source, consultation_request_id, scheduled_session_id,
                    requester_user_id, session_start_time, session_end_time, held_until,
                    hold_token, created_at, updated_at, counted_from
               '),
               ('consultant_leaves', '
                    id, consultant_user_id, start_local, end_local, created_at
               '),
               ('consultant_policies', '
                    consultant_user_id, consultation_service_type_id, duration_minutes,
                    slot_step_minutes, buffer_before_minutes, buffer_after_minutes,
                    minimum_notice_minutes, horizon_days, requires_confirmation,
                    max_sessions_per_day, max_sessions_per_week, max_minutes_per_day,
                    max_minutes_per_week, created_at, updated_at
               '),
               ('consultant_profiles', '
                    consultant_user_id, specializations, is_available_for_booking, time_zone,
                    created_at, updated_at, holiday_region, service_type_ids, company_ids,
                    languages, assignment_weight, assignment_capacity, priority_tier,
                    unavailable_since, max_sessions_per_day, max_sessions_per_week,
                    max_minutes_per_day, max_minutes_per_week
               '),
               ('consultation_requests', '
                    id, requester_user_id, company_id, consultation_service_type_id,
                    preferred_consultant_user_id, preferred_start_time, preferred_end_time,
                    required_specializations, excluded_consultant_user_ids, status,
                    requested_at, updated_at, deadline_at, assigned_consultant_user_id,
                    scheduled_session_id, replaces_request_id, hold_token, series_id,
                    waiting_since, offer_cooldown_until, languages, preferred_fallback,
                    fallback_after
               '),
               ('consultation_service_types', '
                    id, name, description, default_duration_minutes, is_active,
                    slot_step_minutes, buffer_before_minutes, buffer_after_minutes,
                    minimum_notice_minutes, horizon_days, requires_confirmation, created_at,
                    updated_at, max_sessions_per_day, max_sessions_per_week,
                    max_minutes_per_day, max_minutes_per_week, confirmation_minutes,
                    when_all_declined, waiting_list, assignment_weights
               '),
               ('dead_letters', '
                    id, task, entry_point, message_id, reason, payload, received_at
               '),
               ('directory_users', '
                    user_id, time_zone, language, created_at, updated_at
               '),
               ('events', '
                    id, position, type, occurred_at, consultation_request_id,
                    scheduled_session_id, consultant_user_id, actor, entry_point, message_id
               '),
               ('forgotten_people', '
                    person_id, forgotten_at
               '),
               ('free_slots', '
                    consultant_user_id, start_time, end_time
               '),
               ('inbox', '
                    message_id, task, body_hash, entry_point, state, attempts, received_at,
                    attempted_at, finished_at
               '),
               ('jobs', '
                    id, key, job_type, subject_id, args, due_at,
                    retry_at, state, attempts, send_attempts, lease_token, lease_until,
                    created_at, finished_at, put_off_reason, recoveries
               '),
               ('occupied_times', '
                    reservation_id, role, person_id, span, session_id, held_until
               '),
               ('parked_messages', '
                    id, task, queue, body_hash, received_at
               '),
               ('past_counts', '
                    month, consultation_service_type_id, request_status, session_status, number
               '),
               ('schedule_runs', '
                    schedule, due_day, started_at
               '),
               ('scheduled_sessions', '
                    id, consultation_request_id, requester_user_id, consultant_user_id,
                    consultation_service_type_id, scheduled_start_time, scheduled_end_time,
                    meeting_platform_session_id, status, billed_amount, revision, revised_at,
                    requester_attendance, consultant_attendance, judged_at, created_at,
                    updated_at, substitute_user_id, live_id, serving_user_id, billed_currency,
                    billed_minor_units
               '),
               ('session_mailboxes', '
                    id, scheduled_session_id, user_id, party, method, sequence,
                    invited_sequence, job_id, sent_at, created_at, updated_at,
                    consultation_request_id, is_tentative
               '),
               ('specialization_aliases', '
                    alias, specialization, created_at
               '),
               ('stepped_clock', '
                    only_row, instant
               '),
               ('sweep_runs', '
                    sweep, published_at, succeeded_at
               '),
               ('time_offers', '
                    id, consultation_request_id, consultant_user_id, start_time, end_time,
                    hold_token, state, offered_at, offered_until, ended_at
               ')
               ) AS readable (relation, columns)
          JOIN pg_catalog.pg_class c
            ON c.relname = readable.relation AND c.relnamespace = 'public'::regnamespace
          JOIN pg_catalog.pg_attribute a
            ON a.attrelid = c.oid
           AND a.attnum > 0
           AND NOT a.attisdropped
           AND a.attname = ANY (regexp_split_to_array(btrim(readable.columns, E' \n'), ',\s*'))
         GROUP BY a.attrelid
    LOOP
        EXECUTE format('GRANT SELECT (%s) ON %s TO booking_reader', one.cols, one.tab);
    END LOOP;
END
$$;
