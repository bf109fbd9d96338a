DELETE FROM consultant_availability_slots
WHERE consultant_user_id = :user AND status IN ('available', 'unavailable');
