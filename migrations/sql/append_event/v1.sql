-- Insert one event (unless p_event is NULL) and its jobs, both as JSON. Returns the keys of the jobs
-- that were not there before.
CREATE FUNCTION append_event_v1(p_event jsonb, p_jobs jsonb)
RETURNS SETOF text
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    INSERT INTO events (
        id, type, occurred_at, consultation_request_id, scheduled_session_id, consultant_user_id, actor,
        entry_point, message_id, reason, before, after
    )
    SELECT e.* FROM jsonb_to_record(p_event) AS e (
        id uuid, type text, occurred_at timestamptz, consultation_request_id uuid,
        scheduled_session_id uuid, consultant_user_id uuid, actor text, entry_point text, message_id uuid,
        reason text, before jsonb, after jsonb
    )
     WHERE p_event IS NOT NULL;
    RETURN QUERY
    INSERT INTO jobs (id, key, job_type, subject_id, args, due_at)
    SELECT j.* FROM jsonb_to_recordset(p_jobs) AS j (
        id uuid, key text, job_type text, subject_id uuid, args jsonb, due_at timestamptz
    )
    ON CONFLICT (key) DO NOTHING
    RETURNING jobs.key::text;
END
$$;
