-- The free time of every consultant who takes bookings, for readers of the database.
CREATE VIEW free_slots AS
SELECT f.consultant_user_id, f.start_time, f.end_time
  FROM (SELECT array_agg(c.consultant_user_id) AS ids
          FROM consultant_profiles c
         WHERE c.is_available_for_booking) bookable
 CROSS JOIN LATERAL free_time_v2(bookable.ids, now(), 'infinity', now()) f;
