UPDATE consultant_availability_slots SET
    requester_user_id = CASE WHEN requester_user_id = :user THEN :person ELSE requester_user_id END,
    consultant_user_id = CASE WHEN consultant_user_id = :user THEN :person ELSE consultant_user_id END
WHERE
    status IN ('held', 'booked')
    AND (consultation_request_id = ANY(:requests) OR consultant_user_id = :user);
