-- Reading the sources of a span of days, storing what was made of them, and asking what is to be done (carousel_pipeline/usage/).
-- A span is [%(start)s, %(stop)s), two UTC midnights. Moments travel as microseconds since 1970.

-- name: session
-- The roll-up is the only caller that reads whole days; everything else keeps the short timeouts.
set statement_timeout = '120s'; set lock_timeout = '120s'; set idle_in_transaction_session_timeout = '120s'; set work_mem = '64MB';
set random_page_cost = 1.1

-- name: lock
select pg_advisory_lock(hashtext('usage roll-up'))

-- name: unlock
select pg_advisory_unlock(hashtext('usage roll-up'))

-- name: snapshot
-- The first statement of a transaction fixes what it sees; the mark is taken before, so nothing seen is later than it.
set transaction isolation level repeatable read

-- name: now
select now() as at

-- name: open_span
create temporary table span (request int, id uuid) on commit drop

-- name: fill_span
-- Small numbers instead of ids: half the bytes to carry and a third of the time to group by.
insert into span select row_number() over (), id from usage.source_request
 where opened_at >= %(start)s and opened_at < %(stop)s

-- name: know_span
-- Without its size the planner reads all history to build a single day.
analyze span

-- name: requests
select s.request, (extract(epoch from r.opened_at) * 1000000)::bigint, (extract(epoch from r.outlined_at) * 1000000)::bigint,
       (extract(epoch from r.confirmed_at) * 1000000)::bigint, r.user_id, r.kind, r.style, r.language, r.slides, r.phase, r.failure,
       r.state
  from usage.source_request r join span s on s.id = r.id where r.opened_at >= %(start)s and r.opened_at < %(stop)s

-- name: events
select s.request, e.id, e.dst, e.reason, (extract(epoch from e.happened_at) * 1000000)::bigint
  from usage.source_event e join span s on s.id = e.request_id
 where e.dst in ('running', 'rendered', 'delivered', 'released')

-- name: deliveries
select s.request, d.state from usage.source_delivery d join span s on s.id = d.request_id

-- name: transfers
-- Once each: what belongs to the span's requests whenever it was booked, and what else was booked in the span.
select s.request, t.epoch, t.kind, t.debit_code, t.credit_code, t.user_id, t.amount,
       (extract(epoch from t.booked_at) * 1000000)::bigint
  from usage.source_transfer t join span s on s.id = t.request_id
union all
select null, t.epoch, t.kind, t.debit_code, t.credit_code, t.user_id, t.amount,
       (extract(epoch from t.booked_at) * 1000000)::bigint
  from usage.source_transfer t
 where t.booked_at >= %(start)s and t.booked_at < %(stop)s and not exists (select from span s where s.id = t.request_id)

-- name: attempts
-- Once each: what was called for the span's requests at any time, and what else was called in the span.
select s.request, a.id, a.step, a.provider, a.model, a.outcome, (extract(epoch from a.started_at) * 1000000)::bigint,
       (extract(epoch from a.ended_at) * 1000000)::bigint, a.tokens_in, a.tokens_out, a.images, a.cost_usd
  from usage.source_attempt a join span s on s.id = a.request_id
union all
select null, a.id, a.step, a.provider, a.model, a.outcome, (extract(epoch from a.started_at) * 1000000)::bigint,
       (extract(epoch from a.ended_at) * 1000000)::bigint, a.tokens_in, a.tokens_out, a.images, a.cost_usd
  from usage.source_attempt a
 where a.started_at >= %(start)s and a.started_at < %(stop)s and not exists (select from span s where s.id = a.request_id)

-- name: sizes
-- How much there is to read, by day; days without a request are left out.
select (opened_at at time zone 'UTC')::date as day, count(*) as requests
  from usage.source_request where opened_at >= %(start)s and opened_at < %(stop)s group by 1

-- name: forget_day
delete from usage.day where day = any(%(days)s)

-- name: forget_daily
delete from usage.daily where day = any(%(days)s)

-- name: forget_daily_failure
delete from usage.daily_failure where day = any(%(days)s)

-- name: forget_daily_seconds
delete from usage.daily_seconds where day = any(%(days)s)

-- name: forget_daily_call
delete from usage.daily_call where day = any(%(days)s)

-- name: forget_daily_money
delete from usage.daily_money where day = any(%(days)s)

-- name: forget_daily_person
delete from usage.daily_person where day = any(%(days)s)

-- name: unmark
delete from usage.stale_day where day = any(%(days)s)

-- name: mark_stale
select usage.mark_stale() as marked

-- name: stale_days
select distinct day from usage.stale_day order by day

-- name: known_days
select day from usage.day union select day from usage.stale_day order by day

-- name: differences
select day, what, usage, source from usage.difference order by day desc, what limit 200

-- name: missing_days
select day, since from usage.missing_day order by day limit 200

-- name: unexplained_losses
select day, kind, style, language, writer, painter, charged, revenue_usd, cost_charged_usd, margin_charged_usd
  from usage.unexplained_loss order by margin_charged_usd, day, kind, style, language, writer, painter limit 200

-- name: freshness
select max(built_at) as built_at, extract(epoch from clock_timestamp() - max(built_at))::double precision as age_s from usage.day

-- name: record_check
insert into usage.check_result (name, passed, detail) values (%(name)s, %(passed)s, %(detail)s)
on conflict on constraint check_result_pk do update
  set passed = excluded.passed, detail = excluded.detail, checked_at = clock_timestamp()
