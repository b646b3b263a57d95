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

from pathlib import Path

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


def creation(owner: str, accounts: int) -> str:
    """The SQL that makes everything as `owner`, for PostgreSQL's single-user mode."""
    template = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    return template.format(
        owner=owner,
        accounts=accounts,
        apart=APART,
        together=TOGETHER,
        places=PLACES,
        prepared=PREPARED,
        locked=LOCKED,
    )
