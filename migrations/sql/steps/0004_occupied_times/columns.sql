LOCK TABLE absence_plan_steps, scheduled_sessions, consultation_requests, consultant_availability_slots
    IN ACCESS EXCLUSIVE MODE;

-- A hold that is over blocks nobody, and a sweep is about to delete it.
DELETE FROM consultant_availability_slots WHERE status = 'held' AND held_until <= clock_timestamp();

ALTER TABLE scheduled_sessions
    ADD COLUMN substitute_user_id uuid
        CONSTRAINT fk_scheduled_sessions_substitute_user_id REFERENCES consultant_profiles (consultant_user_id),
    ADD COLUMN live_id uuid GENERATED ALWAYS AS (
        CASE WHEN status NOT IN ('cancelled_by_user', 'cancelled_by_consultant') THEN id END
    ) STORED,
    ADD COLUMN serving_user_id uuid
        GENERATED ALWAYS AS (coalesce(substitute_user_id, consultant_user_id)) STORED;

-- Who has the time of a session by an absence plan that is applied and not announced yet.
UPDATE scheduled_sessions s SET substitute_user_id = p.consultant_user_id
  FROM absence_plan_steps p
  JOIN consultant_availability_slots f ON f.id = p.booking_id
 WHERE p.scheduled_session_id = s.id
   AND p.state = 'applied'
   AND p.action = 'reassign'
   AND f.scheduled_session_id = s.id;
