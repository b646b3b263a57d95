"""What the lab's database holds: pgbench's tables at scale 1, and a read whose cost is known.

`lab_read` looks up one account by its index and waits twice on the way, as a statement does that
reads from disk. First alone: callers wait side by side. Then while it holds one of a few advisory
locks, which stand for a resource of that many places (disks, hot rows). Waiting takes no CPU, so
the curve does not depend on what else this machine does. Both waits vary evenly between half and
one and a half times their mean; PostgreSQL sleeps in whole milliseconds, which adds about half of
one each.

`lab_pay` adds to a teller's balance, as pgbench's own transaction does, and goes on for a while
before its transaction ends: payments to one teller wait for each other by the row's lock.
"""

from __future__ import annotations

APART = 0.006  # s, mean of the wait side by side
TOGETHER = 0.007  # s, mean of the wait with a lock held
PLACES = 4  # locks
MAX_CONNECTIONS = 100  # of the lab's server
ACCOUNTS = 100_000  # rows of pgbench_accounts at scale 1

PREPARED = 0.005  # s, mean of the time before the row is locked
LOCKED = 0.006  # s, mean of the time for which it stays locked
HOT_ROWS = 4  # tellers that everybody pays to

READ = f"select lab_read(1 + floor(random() * {ACCOUNTS})::int)"
WRITE = f"select lab_pay(1 + floor(random() * {HOT_ROWS})::int)"

# Commands end with an empty line: PostgreSQL's single-user mode reads them so.
_TABLES = """
create table pgbench_branches (bid int primary key, bbalance int, filler char(88));

create table pgbench_tellers
  (tid int primary key, bid int, tbalance int, filler char(84));

create table pgbench_accounts (aid int, bid int, abalance int, filler char(84));

create table pgbench_history
  (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));

insert into pgbench_branches (bid, bbalance) values (1, 0);

insert into pgbench_tellers (tid, bid, tbalance) select n, 1, 0 from generate_series(1, 10) n;

insert into pgbench_accounts
  select n, 1, n % 1000, '' from generate_series(1, {accounts}) n;

alter table pgbench_accounts add primary key (aid);
"""

# A caller takes any free lock and queues for a random one where none is free. The locks end with
# the transaction, that is with the statement; both waits are allowed in a read-only one.
_READ_FUNCTION = """
create function lab_read(wanted int) returns int language plpgsql volatile as $$
declare
  first int := floor(random() * {places});
  has_place bool := false;
begin
  perform pg_sleep({apart} * (0.5 + random()));
  for step in 0 .. {places} - 1 loop
    has_place := pg_try_advisory_xact_lock(4242, (first + step) % {places});
    exit when has_place;
  end loop;
  if not has_place then
    perform pg_advisory_xact_lock(4242, first);
  end if;
  perform pg_sleep({together} * (0.5 + random()));
  return (select abalance from pgbench_accounts where aid = wanted);
end $$;
"""

# The lock of the updated row ends with the transaction, that is with the statement.
_WRITE_FUNCTION = """
create function lab_pay(teller int) returns int language plpgsql volatile as $$
declare
  balance int;
begin
  perform pg_sleep({prepared} * (0.5 + random()));
  update pgbench_tellers set tbalance = tbalance + 1 where tid = teller
    returning tbalance into balance;
  perform pg_sleep({locked} * (0.5 + random()));
  return balance;
end $$;
"""


def creation(owner: str, accounts: int) -> str:
    """The SQL that makes everything as `owner`, for PostgreSQL's single-user mode."""
    parts = [
        f"set role {owner};",
        _TABLES.format(accounts=accounts),
        _READ_FUNCTION.format(apart=APART, together=TOGETHER, places=PLACES),
        _WRITE_FUNCTION.format(prepared=PREPARED, locked=LOCKED),
        "reset role;",
        "vacuum analyze;",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n\n"
