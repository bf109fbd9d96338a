-- Lock persons until the end of the transaction, in the order of their ids: consultants and requesters alike.
--
-- Each transaction locks all its persons in one call, after the rows of the consultants and before the slot
-- ledger. Two transactions that lock the same two persons one after the other, in either role, could otherwise
-- wait for each other.
CREATE FUNCTION lock_persons_v1(p_persons uuid[])
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    person uuid;
BEGIN
    FOR person IN SELECT DISTINCT p FROM unnest(p_persons) AS p WHERE p IS NOT NULL ORDER BY p LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended('person:' || person, 0));
    END LOOP;
END
$$;
