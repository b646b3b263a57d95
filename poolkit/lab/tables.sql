-- PostgreSQL's single-user mode reads this: each command ends with an empty line.

set role {owner};

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

-- A caller takes any free lock and queues for a random one where none is free. The locks end with
-- the transaction, that is with the statement; both waits are allowed in a read-only one.
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

-- The lock of the updated row ends with the transaction, that is with the statement.
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

reset role;

vacuum analyze;

