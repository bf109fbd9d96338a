CREATE TABLE past_counts (
    month date NOT NULL,
    consultation_service_type_id uuid NOT NULL,
    request_status varchar NOT NULL,
    session_status varchar NOT NULL,
    number bigint NOT NULL,
    CONSTRAINT pk_past_counts PRIMARY KEY (
        month, consultation_service_type_id, request_status, session_status
    ),
    CONSTRAINT fk_past_counts_consultation_service_type_id FOREIGN KEY (
        consultation_service_type_id
    ) REFERENCES consultation_service_types (id)
);
