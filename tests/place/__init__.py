"""One person is in one place: statements that the database refuses, whoever sends them, and legal ones."""
