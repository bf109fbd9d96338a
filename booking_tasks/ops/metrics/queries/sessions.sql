SELECT count(*) AS without_link
FROM scheduled_sessions
WHERE
    status = 'scheduled'
    AND meeting_platform_session_id IS NULL
    AND scheduled_start_time > :now
    AND scheduled_start_time <= :now + :link_alert;
