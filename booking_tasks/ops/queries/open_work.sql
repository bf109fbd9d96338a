WITH clock AS (SELECT instant FROM stepped_clock)

SELECT
    (
        SELECT count(*) FROM jobs, clock
        WHERE state IN ('leased', 'sending') OR (state = 'waiting' AND due_at <= instant)
    ) AS jobs,
    (SELECT count(*) FROM inbox WHERE state = 'received') AS messages,
    (
        SELECT count(*) FROM consultation_requests, clock
        WHERE
            status = 'pending'
            OR (status = 'pending_assignment' AND least(deadline_at, preferred_end_time) <= instant)
    ) AS requests,
    (
        SELECT count(*) FROM consultation_requests r, clock
        WHERE
            r.status = 'pending_confirmation'
            AND NOT EXISTS (
                SELECT FROM consultant_availability_slots h
                WHERE h.consultation_request_id = r.id AND h.status = 'held' AND h.held_until > instant
            )
    ) AS unanswered,
    (SELECT count(*) FROM time_offers, clock WHERE state = 'open' AND offered_until <= instant) AS offers,
    (
        SELECT count(*) FROM scheduled_sessions, clock
        WHERE
            (status = 'scheduled' AND scheduled_start_time <= instant)
            OR (
                status = 'in_progress'
                AND scheduled_end_time + make_interval(secs => :verdict_delay) <= instant
            )
    ) AS sessions;
