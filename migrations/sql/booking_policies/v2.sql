-- The policies of each consultant who offers the service type. What a consultant sets goes before what the
-- service type sets. A session that is booked already keeps its length: p_length.
CREATE FUNCTION booking_policies_v2(
    p_consultants uuid[], p_service_type uuid, p_now timestamptz, p_length interval DEFAULT NULL
)
RETURNS TABLE (
    consultant_user_id uuid, duration interval, step interval, buffer_before interval, buffer_after interval,
    earliest timestamptz, latest timestamptz, requires_confirmation boolean, time_zone text,
    day_sessions integer, week_sessions integer, day_minutes integer, week_minutes integer
)
LANGUAGE sql STABLE
AS $$
    SELECT c.consultant_user_id,
           coalesce(
               p_length, make_interval(mins => coalesce(o.duration_minutes, t.default_duration_minutes))
           ),
           make_interval(mins => coalesce(o.slot_step_minutes, t.slot_step_minutes)),
           make_interval(mins => coalesce(o.buffer_before_minutes, t.buffer_before_minutes)),
           make_interval(mins => coalesce(o.buffer_after_minutes, t.buffer_after_minutes)),
           p_now + make_interval(mins => coalesce(o.minimum_notice_minutes, t.minimum_notice_minutes)),
           p_now + make_interval(hours => coalesce(o.horizon_days, t.horizon_days) * 24),
           coalesce(o.requires_confirmation, t.requires_confirmation),
           c.time_zone::text,
           coalesce(o.max_sessions_per_day, t.max_sessions_per_day),
           coalesce(o.max_sessions_per_week, t.max_sessions_per_week),
           coalesce(o.max_minutes_per_day, t.max_minutes_per_day),
           coalesce(o.max_minutes_per_week, t.max_minutes_per_week)
      FROM consultation_service_types t
      JOIN consultant_profiles c
        ON c.consultant_user_id = ANY (p_consultants)
       AND c.is_available_for_booking
       AND (c.service_type_ids IS NULL OR t.id = ANY (c.service_type_ids))
      LEFT JOIN consultant_policies o
        ON o.consultant_user_id = c.consultant_user_id AND o.consultation_service_type_id = t.id
     WHERE t.id = p_service_type AND t.is_active
$$;
