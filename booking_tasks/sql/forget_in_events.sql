-- Take a person out of events: their id becomes a random one, and reasons and tokens are erased. It is the only
-- statement that changes the history, with the rights of the tables' owner; only booking_app may call it.
--
-- Returns how many events were changed.
CREATE FUNCTION forget_in_events_v1(p_user uuid, p_person uuid, p_actors text[], p_events uuid[])
RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = public, pg_temp
AS $$
DECLARE
    secrets text[] := ARRAY['hold_token', 'meeting_platform_join_url'];
    changed bigint;
BEGIN
    UPDATE events e
       SET consultant_user_id =
               CASE WHEN e.consultant_user_id = p_user THEN p_person ELSE e.consultant_user_id END,
           actor = CASE
               WHEN lower(e.actor) = ANY (p_actors) OR strpos(lower(e.actor), p_user::text) > 0
                   THEN p_person::text
               ELSE e.actor
           END,
           reason = NULL,
           before = replace((e.before - secrets)::text, p_user::text, p_person::text)::jsonb,
           after = replace((e.after - secrets)::text, p_user::text, p_person::text)::jsonb
     WHERE e.id = ANY (p_events);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
