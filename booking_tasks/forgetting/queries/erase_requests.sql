UPDATE consultation_requests SET
    requester_user_id = :person,
    request_details = NULL,
    status_reason = NULL,
    required_specializations = '{}',
    languages = '{}',
    hold_token = NULL
WHERE id = ANY(:requests);
