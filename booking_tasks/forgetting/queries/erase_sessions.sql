-- The link of a session that is not over is still needed by the other side.
UPDATE scheduled_sessions SET
    requester_user_id = CASE WHEN requester_user_id = :user THEN :person ELSE requester_user_id END,
    consultant_user_id = CASE WHEN consultant_user_id = :user THEN :person ELSE consultant_user_id END,
    substitute_user_id = CASE WHEN substitute_user_id = :user THEN :person ELSE substitute_user_id END,
    outcome_notes = NULL,
    status_reason = NULL,
    meeting_platform_join_url = CASE
        WHEN status IN ('scheduled', 'in_progress') THEN meeting_platform_join_url
    END
WHERE id = ANY(:all_sessions);
