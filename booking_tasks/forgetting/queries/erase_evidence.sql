UPDATE attendance_evidence SET external_id = id::text
WHERE scheduled_session_id = ANY(:all_sessions);
