"""Embedded upstreams with known truth: HTTP servers and a PostgreSQL, on loopback, in processes."""
