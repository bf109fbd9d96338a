-- Whether a request is overdue, or waits for a consultant without a live hold.
SELECT 1
FROM consultation_requests r, clock
WHERE
    (
        r.status IN ('pending', 'pending_assignment')
        AND (r.deadline_at <= instant OR r.preferred_end_time <= instant)
    )
    OR (
        r.status = 'pending_confirmation'
        AND NOT EXISTS (
            SELECT FROM consultant_availability_slots h
            WHERE h.consultation_request_id = r.id AND h.status = 'held' AND h.held_until > instant
        )
    )
LIMIT 1;
