SELECT
    (
        SELECT count(*) FROM consultant_availability_slots
        WHERE status = 'held' AND held_until > :now
    ) AS held,
    (SELECT count(*) FROM time_offers WHERE state = 'open' AND offered_until > :now) AS offers,
    count(made.id) AS made,
    count(made.scheduled_session_id) AS booked
FROM
    (
        SELECT DISTINCT
            requests.id,
            requests.scheduled_session_id
        FROM events
        INNER JOIN consultation_requests AS requests ON events.consultation_request_id = requests.id
        WHERE
            events.occurred_at > :now - interval '1 hour'
            AND events.occurred_at <= :now
            AND events.type = 'request.held'
    ) AS made;
