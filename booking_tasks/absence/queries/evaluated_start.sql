SELECT consultant_user_id, session_end, refusal
FROM start_refusals_v2(:consultants, :service_type, :start, :now, :session);
