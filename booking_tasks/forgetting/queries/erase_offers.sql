UPDATE time_offers SET
    consultant_user_id = CASE WHEN consultant_user_id = :user THEN :person ELSE consultant_user_id END,
    hold_token = CASE
        WHEN consultation_request_id = ANY(:requests) THEN gen_random_uuid() ELSE hold_token
    END
WHERE consultation_request_id = ANY(:requests) OR consultant_user_id = :user;
