SELECT
    count(*) AS number,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY events.occurred_at - requests.requested_at) AS median,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY events.occurred_at - requests.requested_at) AS most,
    max(events.occurred_at - requests.requested_at) AS longest
FROM events
INNER JOIN consultation_requests AS requests ON events.consultation_request_id = requests.id
WHERE
    events.occurred_at > :now - interval '1 hour'
    AND events.occurred_at <= :now
    AND events.type = 'session.scheduled';
