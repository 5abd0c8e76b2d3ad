-- `carousel bench ledger`: the unguarded double entry that the ledger is measured against, and the users of both.

-- name: baseline_schema
create schema bench;
create table bench.account (id bigint primary key, balance bigint not null) with (fillfactor = 70);
create table bench.entry (
  id bigint generated always as identity primary key,
  account_id bigint not null,
  amount bigint not null,
  created_at timestamptz not null default now()
);
create function bench.transfer(p_user bigint, p_amount bigint) returns void language plpgsql as $f$
begin
  insert into bench.entry (account_id, amount) values (0, -p_amount), (p_user, p_amount);
  update bench.account set balance = balance + p_amount where id = p_user;
end $f$

-- name: baseline_seed
insert into bench.account select generate_series(0, %(users)s), 0

-- name: ledger_seed
select count(ledger.topup(tg, 'stars', 'seed-' || tg, 1, now())) from generate_series(1, %(users)s) as tg

-- name: baseline_transfer
select bench.transfer(%(user)s, 1)

-- name: topup
select ledger.topup(%(user)s, 'stars', %(charge)s, 1, now())

-- name: reserve
select ledger.reserve(%(user)s, %(key)s, 1)
