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

-- `carousel bench load`, as the owner of both databases; times in seconds of the epoch.

-- What happened to requests: reserved, the first claim, the first call for a picture, the album.
-- name: load_times
select r.id, extract(epoch from r.created_at)::float8 as reserved,
       (select extract(epoch from min(e.created_at))::float8 from ledger.request_event e where e.request_id = r.id and e.dst = 'running')
         as claimed,
       (select extract(epoch from min(a.started_at))::float8 from carousel.attempt a where a.request_id = r.id and a.step = 'picture')
         as called,
       (select extract(epoch from max(d.updated_at))::float8 from ledger.delivery d where d.request_id = r.id and d.state = 'sent')
         as sent,
       r.run_id
  from ledger.request r where r.id = any(%(ids)s)

-- When each asset of a run worked for itself: from its last input to the first thing that it reported. The rest is Dagster's.
-- name: load_bodies
select step_key,
       max(extract(epoch from timestamp)::float8) filter (where dagster_event_type in ('STEP_START', 'LOADED_INPUT')) as began,
       min(extract(epoch from timestamp)::float8) filter (where dagster_event_type = 'STEP_OUTPUT') as ended
  from event_logs where run_id = %(run)s and step_key is not null group by step_key

-- name: load_connections
select count(*) as n from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()

-- name: load_working
select count(*) as n from ledger.request where state = 'running'

-- One person's many requests: opened here, written by the pipeline, confirmed one by one.
-- name: load_credits
select ledger.topup(%(tg)s, 'stars', %(key)s, %(credits)s, now())

-- name: load_open
select request_id as id from carousel.open_request(%(tg)s, %(tg)s, %(key)s, %(source)s, %(options)s)

-- name: load_outlined
select id, price from carousel.request where id = any(%(ids)s) and phase = 'outlined'

-- name: load_confirm
select carousel.confirm(%(tg)s, %(id)s, %(price)s) as answer

-- name: load_place
select carousel.queue_place(%(id)s) as ahead

-- Pictures that were refused: then something else was measured than was asked for.
-- name: load_stand_ins
select count(*) as n from carousel.attempt where outcome = 'stand_in'

-- name: load_violations
select count(*) as n from ledger.invariant_violation
