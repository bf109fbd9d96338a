-- What the rules of this step refuse and the data has: nothing is changed, and each line says what to do.
DO $$
DECLARE
    found text[];
    shown CONSTANT integer := 40;
BEGIN
    WITH occupied AS (
        SELECT f.id, t.role, t.person_id, t.span, format(
                   'reservation %s (%s as %s%s, %s to %s)', f.id, f.status, t.role,
                   ' of session ' || f.scheduled_session_id,
                   to_char(lower(t.span) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
                   to_char(upper(t.span) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC')
               ) AS description
          FROM consultant_availability_slots f
         CROSS JOIN LATERAL (VALUES
                   ('consultant', f.consultant_user_id, tstzrange(f.start_time, f.end_time)),
                   ('requester', f.requester_user_id, tstzrange(f.session_start_time, f.session_end_time))
               ) AS t (role, person_id, span)
         WHERE f.status IN ('held', 'booked')
         UNION ALL
        SELECT f.id, 'kept', f.consultant_user_id, tstzrange(f.start_time, f.end_time), format(
                   'block %s (former time of an absence plan, %s to %s)', f.id,
                   to_char(f.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
                   to_char(f.end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC')
               )
          FROM consultant_availability_slots f
         WHERE f.status = 'unavailable' AND f.source = 'absence'
    ), booked AS (
        SELECT f.* FROM consultant_availability_slots f WHERE f.status = 'booked'
    ), lines AS (
        SELECT 1 AS place, a.person_id::text AS key, format(
                   'person %s is in two places at once: %s and %s. Cancel or move one of the two'
                   ' (cancel_session, reschedule_session, release_hold, undo_absence_plan).',
                   a.person_id, a.description, b.description
               ) AS line
          FROM occupied a
          JOIN occupied b
            ON b.person_id = a.person_id AND b.span && a.span AND (a.id, a.role) < (b.id, b.role)
         UNION ALL
        SELECT 2, s.id::text, format(
                   'session %s (%s, %s to %s, consultant %s, requester %s) has no booked row with its times and'
                   ' persons. Cancel the session, or correct its row in consultant_availability_slots.',
                   s.id, s.status,
                   to_char(s.scheduled_start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
                   to_char(s.scheduled_end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI UTC'),
                   s.serving_user_id, s.requester_user_id
               )
          FROM scheduled_sessions s
         WHERE s.live_id IS NOT NULL
           AND NOT EXISTS (
               SELECT FROM booked f
                WHERE (
                    f.scheduled_session_id, f.session_start_time, f.session_end_time, f.consultant_user_id,
                    f.requester_user_id
                ) = (
                    s.id, s.scheduled_start_time, s.scheduled_end_time, s.serving_user_id, s.requester_user_id
                )
           )
         UNION ALL
        SELECT 3, f.id::text, format(
                   'row %s of consultant_availability_slots is booked for session %s, which is %s.'
                   ' Delete the row.', f.id, s.id, s.status
               )
          FROM booked f
          JOIN scheduled_sessions s ON s.id = f.scheduled_session_id
         WHERE s.live_id IS NULL
         UNION ALL
        SELECT 4, f.scheduled_session_id::text, format(
                   'session %s has %s booked rows in consultant_availability_slots: %s. Keep the one with its'
                   ' times and persons, and delete the others.',
                   f.scheduled_session_id, count(*), string_agg(f.id::text, ', ' ORDER BY f.id)
               )
          FROM booked f
         GROUP BY f.scheduled_session_id
        HAVING count(*) > 1
         UNION ALL
        SELECT 5, f.id::text, format(
                   'row %s of consultant_availability_slots is %s and names session %s. Set its'
                   ' scheduled_session_id to NULL.', f.id, f.status, f.scheduled_session_id
               )
          FROM consultant_availability_slots f
         WHERE f.status <> 'booked' AND f.scheduled_session_id IS NOT NULL
    )
    SELECT array_agg(l.line ORDER BY l.place, l.key, l.line) INTO found FROM lines l;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT002', MESSAGE = format(
            E'%s clashes in the data, and nothing was changed:\n- %s%s\nResolve them with the release that is'
            ' running, then run booking-tasks migrate again.',
            cardinality(found), array_to_string(found[1:shown], E'\n- '),
            CASE WHEN cardinality(found) > shown THEN format(E'\n- and %s more', cardinality(found) - shown)
            ELSE '' END
        );
    END IF;
END
$$;
