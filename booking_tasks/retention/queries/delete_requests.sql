-- A request that another one replaces goes after that one. A credit that no balance counts yet keeps its
-- request.
WITH old AS (
    SELECT r.id
    FROM consultation_requests r
    WHERE
        r.status IN ('cancelled', 'completed', 'rejected')
        AND r.requested_at < :before AND coalesce(r.updated_at, r.requested_at) < :before
        AND NOT EXISTS (
            SELECT FROM scheduled_sessions s
            WHERE
                s.consultation_request_id = r.id
                AND (s.status IN ('scheduled', 'in_progress') OR s.scheduled_end_time >= :before)
        )
        AND NOT EXISTS (
            SELECT FROM consultation_requests n
            WHERE n.replaces_request_id = r.id
        )
        AND NOT EXISTS (
            SELECT FROM assignment_credits e
            WHERE e.consultation_request_id = r.id AND NOT e.is_counted
        )
    ORDER BY r.requested_at
    LIMIT :most
    FOR UPDATE SKIP LOCKED
),

held AS (
    SELECT s.id FROM scheduled_sessions s
    INNER JOIN old ON s.consultation_request_id = old.id
    FOR UPDATE OF s SKIP LOCKED
),

gone AS (
    SELECT old.id FROM old
    WHERE NOT EXISTS (
        SELECT FROM scheduled_sessions s
        WHERE s.consultation_request_id = old.id AND s.id NOT IN (SELECT held.id FROM held)
    )
),

counted AS (
    INSERT INTO past_counts AS p (
        month, consultation_service_type_id, request_status, session_status, number
    )
    SELECT
        date_trunc('month', coalesce(s.scheduled_start_time, r.requested_at) AT TIME ZONE 'UTC')::date,
        r.consultation_service_type_id, r.status, coalesce(s.status, ''), count(*)
    FROM gone
    INNER JOIN consultation_requests r ON gone.id = r.id
    LEFT JOIN scheduled_sessions s ON r.id = s.consultation_request_id
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (month, consultation_service_type_id, request_status, session_status)
    DO UPDATE SET number = p.number + excluded.number
),

steps AS (
    DELETE FROM absence_plan_steps WHERE scheduled_session_id IN (SELECT held.id FROM held)
),

evidence AS (
    DELETE FROM attendance_evidence WHERE scheduled_session_id IN (SELECT held.id FROM held)
),

mailboxes AS (
    DELETE FROM session_mailboxes
    WHERE
        consultation_request_id IN (SELECT gone.id FROM gone)
        OR scheduled_session_id IN (SELECT held.id FROM held)
),

offers AS (
    DELETE FROM time_offers WHERE consultation_request_id IN (SELECT gone.id FROM gone)
),

decisions AS (
    DELETE FROM assignment_decisions WHERE consultation_request_id IN (SELECT gone.id FROM gone)
),

credits AS (
    DELETE FROM assignment_credits WHERE consultation_request_id IN (SELECT gone.id FROM gone)
),

slots AS (
    DELETE FROM consultant_availability_slots WHERE consultation_request_id IN (SELECT gone.id FROM gone)
),

sessions AS (
    DELETE FROM scheduled_sessions WHERE id IN (SELECT held.id FROM held)
)

DELETE FROM consultation_requests
WHERE id IN (SELECT gone.id FROM gone)
RETURNING id;
