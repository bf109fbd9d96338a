-- Whether the status of a request or a session may change from p_before to p_after: REQUEST_STEPS and
-- SESSION_STEPS of booking_tasks/states.py, which a test compares.
CREATE FUNCTION is_allowed_step_v1(p_aggregate text, p_before text, p_after text)
RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
    SELECT (p_aggregate, p_before, p_after) IN (
        ('request', 'pending', 'pending_assignment'),
        ('request', 'pending', 'pending_confirmation'),
        ('request', 'pending', 'scheduled'),
        ('request', 'pending', 'cancelled'),
        ('request', 'pending', 'rejected'),
        ('request', 'pending_assignment', 'pending_confirmation'),
        ('request', 'pending_assignment', 'scheduled'),
        ('request', 'pending_assignment', 'cancelled'),
        ('request', 'pending_assignment', 'rejected'),
        ('request', 'pending_confirmation', 'pending_assignment'),
        ('request', 'pending_confirmation', 'scheduled'),
        ('request', 'pending_confirmation', 'cancelled'),
        ('request', 'pending_confirmation', 'rejected'),
        ('request', 'scheduled', 'completed'),
        ('request', 'scheduled', 'cancelled'),
        ('session', 'scheduled', 'in_progress'),
        ('session', 'scheduled', 'cancelled_by_user'),
        ('session', 'scheduled', 'cancelled_by_consultant'),
        ('session', 'in_progress', 'completed'),
        ('session', 'in_progress', 'no_show_user'),
        ('session', 'in_progress', 'no_show_consultant'),
        ('session', 'in_progress', 'attendance_unknown'),
        ('session', 'completed', 'no_show_user'),
        ('session', 'completed', 'no_show_consultant'),
        ('session', 'completed', 'attendance_unknown'),
        ('session', 'no_show_user', 'completed'),
        ('session', 'no_show_user', 'no_show_consultant'),
        ('session', 'no_show_user', 'attendance_unknown'),
        ('session', 'no_show_consultant', 'completed'),
        ('session', 'no_show_consultant', 'no_show_user'),
        ('session', 'no_show_consultant', 'attendance_unknown'),
        ('session', 'attendance_unknown', 'completed'),
        ('session', 'attendance_unknown', 'no_show_user'),
        ('session', 'attendance_unknown', 'no_show_consultant')
    )
$$;
