-- The addresses of consultants who take bookings, and of people with an open request or a session ahead.
WITH active AS (
    SELECT consultant_user_id AS person_id FROM consultant_profiles WHERE is_available_for_booking
    UNION
    SELECT requester_user_id FROM consultation_requests
    WHERE status IN ('pending', 'pending_assignment', 'pending_confirmation')
    UNION
    SELECT requester_user_id FROM scheduled_sessions WHERE status = 'scheduled'
    UNION
    SELECT consultant_user_id FROM scheduled_sessions WHERE status = 'scheduled'
)

SELECT
    u.user_id,
    u.email
FROM directory_users AS u
INNER JOIN active ON active.person_id = u.user_id
ORDER BY u.user_id;
