WITH clock AS (SELECT instant FROM stepped_clock)

SELECT min(due) FROM clock CROSS JOIN LATERAL (
    SELECT min(due_at) AS due FROM jobs WHERE state = 'waiting' AND due_at > instant
    UNION ALL
    SELECT min(scheduled_start_time) FROM scheduled_sessions
    WHERE status = 'scheduled' AND scheduled_start_time > instant
    UNION ALL
    SELECT min(scheduled_end_time + make_interval(secs => :verdict_delay))
    FROM scheduled_sessions
    WHERE
        status IN ('scheduled', 'in_progress')
        AND scheduled_end_time + make_interval(secs => :verdict_delay) > instant
    UNION ALL
    SELECT min(least(deadline_at, preferred_end_time)) FROM consultation_requests
    WHERE
        status IN ('pending', 'pending_assignment')
        AND least(deadline_at, preferred_end_time) > instant
    UNION ALL
    SELECT min(held_until) FROM consultant_availability_slots
    WHERE status = 'held' AND held_until > instant
    UNION ALL
    SELECT min(offered_until) FROM time_offers
    WHERE state = 'open' AND offered_until > instant
) candidates;
