-- Whether an open offer is over.
SELECT 1
FROM time_offers, clock
WHERE state = 'open' AND offered_until <= instant
LIMIT 1;
