SELECT r.consultant_user_id, r.refusal, make_interval(mins => o.duration_minutes)
FROM start_refusals_v3(:consultants, :service_type, :start, :now, :session, :length) r
LEFT JOIN consultant_policies o
    ON
        o.consultant_user_id = r.consultant_user_id
        AND o.consultation_service_type_id = :service_type;
