"""The Prometheus exporter: one process that reads PostgreSQL. Workers collect nothing."""
