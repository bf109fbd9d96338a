CREATE TABLE forgotten_people (
    person_id uuid NOT NULL,
    forgotten_at timestamptz NOT NULL,
    CONSTRAINT pk_forgotten_people PRIMARY KEY (person_id)
);
