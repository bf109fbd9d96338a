-- The trigger of tables that only triggers or steps of the schema write: it refuses every other statement.
CREATE FUNCTION refuse_direct_write_v1()
RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = format('%s on %s is refused: no statement writes to this table', TG_OP, TG_TABLE_NAME),
        HINT = 'occupied_times follows consultant_availability_slots, and allowed_steps follows the schema.';
END
$$;
