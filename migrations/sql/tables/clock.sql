-- The clock of the demo and the tests: at most one row, used only with BOOKING_CLOCK=stepped.
CREATE TABLE stepped_clock (
    only_row boolean NOT NULL DEFAULT true,
    instant timestamptz NOT NULL,
    CONSTRAINT pk_stepped_clock PRIMARY KEY (only_row),
    CONSTRAINT ck_stepped_clock_only_row CHECK (only_row)
);
