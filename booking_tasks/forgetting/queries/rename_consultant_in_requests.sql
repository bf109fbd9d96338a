UPDATE consultation_requests SET
    preferred_consultant_user_id = CASE
        WHEN preferred_consultant_user_id = :user THEN :person ELSE preferred_consultant_user_id
    END,
    assigned_consultant_user_id = CASE
        WHEN assigned_consultant_user_id = :user THEN :person ELSE assigned_consultant_user_id
    END,
    excluded_consultant_user_ids = array_replace(excluded_consultant_user_ids, :user, :person)
WHERE
    preferred_consultant_user_id = :user OR assigned_consultant_user_id = :user
    OR :user = ANY(excluded_consultant_user_ids);
