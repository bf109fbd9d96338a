"""No message can stop a worker, and nobody gains rights by sending one."""
