"""Load from several processes at once, here or on the workers of a Dask cluster.

Dask starts processes and carries messages; it schedules nothing, since it may run a task twice and
load is not idempotent. The client (`source`) owns an actor on each worker (`actor`), the actor owns
a process (`process`) in which the generator of every measurement runs, and what they measured is
added up (`poolkit.load.together`). Each link ends what is behind it when it is cut, and a process
that nobody renewed the lease of sends nothing more.
"""
