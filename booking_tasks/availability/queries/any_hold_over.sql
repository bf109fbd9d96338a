-- Whether a hold is over.
SELECT 1
FROM consultant_availability_slots, clock
WHERE status = 'held' AND held_until <= instant
LIMIT 1;
