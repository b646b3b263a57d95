"""What every adapter asks of a PostgreSQL session, whichever library dials it."""

from __future__ import annotations

# In force for the session: every transaction refuses to write, also one that begins by itself.
READ_ONLY = "default_transaction_read_only"
APPLICATION = "poolkit"

SPARE_CONNECTIONS = """
select current_setting('max_connections')::int
     - current_setting('superuser_reserved_connections')::int
     - coalesce(current_setting('reserved_connections', true)::int, 0)
     - (select count(*) from pg_stat_activity where backend_type = 'client backend')
"""

# The process that serves the session. A pooler such as PgBouncer tells another number at login than
# this query does. Behind one, READ_ONLY must not be set for the session: PgBouncer refuses it as a
# startup parameter or, told to ignore it, drops it in silence, and a SET would reach other clients
# of the pooler; so each transaction is begun read-only instead. Prepared statements do not last
# beyond a transaction either (PgBouncer 1.21 can keep them, but does not say so).
BACKEND_PID = "select pg_backend_pid()"
