"""When a consultant cannot: who takes over, and what becomes of everyone they were to meet."""
