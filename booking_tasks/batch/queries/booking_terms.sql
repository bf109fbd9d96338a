SELECT
    p.consultant_user_id, p.duration, p.buffer_before, p.buffer_after, p.requires_confirmation,
    p.time_zone, p.day_sessions, p.week_sessions, p.day_minutes, p.week_minutes,
    c.max_sessions_per_day, c.max_sessions_per_week, c.max_minutes_per_day, c.max_minutes_per_week,
    a.plan -> 'travel'
FROM booking_policies_v2(:consultants, :service_type, :now) p
JOIN consultant_profiles c USING (consultant_user_id)
LEFT JOIN availability_plans a USING (consultant_user_id);
