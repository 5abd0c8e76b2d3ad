-- The roll-up of all history once more, in plain SQL: the yardstick of `carousel bench usage`, and in tests the second opinion on
-- carousel_pipeline/usage/rollup.py. Runs as a superuser, into schema plain.

-- name: start_over
-- As if nothing had ever been rolled up.
truncate usage.day, usage.stale_day, usage.daily, usage.daily_failure, usage.daily_seconds, usage.daily_call, usage.daily_money,
  usage.daily_person, usage.check_result;
update usage.watermark set seen_until = '-infinity';
drop schema if exists plain cascade

-- name: prepare
create schema plain;
create table plain.daily (like usage.daily including all);
create table plain.daily_failure (like usage.daily_failure including all);
create table plain.daily_seconds (like usage.daily_seconds including all);
create table plain.daily_call (like usage.daily_call including all);
create table plain.daily_money (like usage.daily_money including all);
create table plain.daily_person (like usage.daily_person including all)

-- name: cases
create temporary table cases on commit drop as
with models as (
  select request_id,
         (array_agg(model order by outcome in ('ok', 'repaired') desc, started_at desc, id desc)
            filter (where step <> 'picture'))[1] as writer,
         (array_agg(model order by outcome in ('ok', 'repaired') desc, started_at desc, id desc)
            filter (where step = 'picture' and outcome <> 'stand_in'))[1] as painter,
         count(*) as calls, count(*) filter (where cost_usd is null) as unknown, coalesce(sum(cost_usd), 0) as cost,
         count(*) filter (where outcome = 'stand_in') as stand_ins
    from usage.source_attempt group by request_id),
ended as (
  select distinct on (request_id) request_id, id, happened_at from usage.source_event
   where dst in ('delivered', 'released') order by request_id, id desc),
steps as (
  select e.request_id, min(e.happened_at) filter (where e.dst = 'running') as first_taken,
         (array_agg(e.happened_at order by e.id desc) filter (where e.dst = 'running'))[1] as taken,
         (array_agg(e.happened_at order by e.id desc) filter (where e.dst = 'rendered'))[1] as drawn,
         (array_agg(e.reason order by e.id desc) filter (where e.dst = 'released'))[1] as reason, min(x.happened_at) as ended
    from usage.source_event e left join ended x using (request_id) where x.id is null or e.id <= x.id group by e.request_id),
sends as (
  select request_id, count(*) as sends, count(*) filter (where state = 'rejected') as rejected
    from usage.source_delivery group by request_id),
holds as (
  select request_id, epoch, kind <> 'reserve' as house from usage.source_transfer where kind in ('reserve', 'reopen', 'second_life')),
credits as (
  select t.request_id,
         coalesce(sum(amount) filter (where credit_code = 'user_held' and not house), 0) as held,
         coalesce(sum(amount) filter (where credit_code = 'user_held' and house), 0) as held_house,
         coalesce(sum(amount) filter (where credit_code = 'revenue' and not house), 0) as charged,
         coalesce(sum(amount) filter (where credit_code = 'revenue' and house), 0) as charged_house,
         coalesce(sum(amount) filter (where kind = 'release' and not house), 0) as released,
         coalesce(sum(amount) filter (where kind = 'release' and house), 0) as released_house
    from usage.source_transfer t join holds h on h.request_id = t.request_id and h.epoch = t.epoch group by t.request_id)
select (r.opened_at at time zone 'UTC')::date as day, r.kind, r.style, r.language, coalesce(m.writer, 'none') as writer,
       coalesce(m.painter, 'none') as painter, r.user_id, r.slides, r.phase, r.failure, r.opened_at, r.outlined_at, r.confirmed_at,
       r.phase = 'confirmed' as confirmed,
       case when r.phase = 'confirmed' and r.state = 'delivered' then 'delivered'
            when r.phase = 'confirmed' and r.state = 'released' then 'refunded'
            when r.phase in ('failed', 'discarded') then r.phase else 'open' end as outcome,
       coalesce(r.phase = 'confirmed' and r.state = 'delivery_unknown', false) as in_doubt,
       coalesce(m.calls, 0) as calls, coalesce(m.unknown, 0) as unknown, coalesce(m.cost, 0) as cost, coalesce(m.stand_ins, 0) as stand_ins,
       coalesce(d.sends, 0) as sends, coalesce(d.rejected, 0) as rejected,
       coalesce(c.held, 0) as held, coalesce(c.charged, 0) as charged, coalesce(c.released, 0) as released,
       coalesce(c.held_house, 0) as held_house, coalesce(c.charged_house, 0) as charged_house,
       coalesce(c.released_house, 0) as released_house,
       s.first_taken, s.taken, s.drawn, s.ended, s.reason
  from usage.source_request r
  left join models m on m.request_id = r.id left join steps s on s.request_id = r.id
  left join sends d on d.request_id = r.id left join credits c on c.request_id = r.id

-- name: daily
insert into plain.daily
select day, kind, style, language, writer, painter, count(*),
       count(*) filter (where outlined_at is not null or confirmed), count(*) filter (where confirmed),
       count(*) filter (where outcome = 'delivered'), count(*) filter (where outcome = 'refunded'),
       count(*) filter (where outcome = 'failed'), count(*) filter (where outcome = 'discarded'),
       count(*) filter (where outcome = 'open'), count(*) filter (where in_doubt),
       coalesce(sum(slides) filter (where outcome = 'delivered'), 0), sum(stand_ins), sum(sends), sum(rejected),
       sum(held), sum(charged), sum(released), sum(held_house), sum(charged_house), sum(released_house), sum(calls), sum(unknown),
       sum(cost), coalesce(sum(cost) filter (where outcome = 'delivered' and charged > 0), 0),
       coalesce(sum(cost) filter (where outcome = 'delivered' and charged = 0 and charged_house > 0), 0),
       coalesce(sum(cost) filter (where outcome = 'refunded'), 0),
       coalesce(sum(cost) filter (where outcome <> 'refunded' and not (outcome = 'delivered' and charged + charged_house > 0)), 0)
  from cases group by day, kind, style, language, writer, painter

-- name: daily_failure
insert into plain.daily_failure
select day, kind, style, language, writer, painter, case outcome when 'failed' then 'outline' else 'carousel' end,
       coalesce(case outcome when 'failed' then failure else reason end, 'other'), count(*), sum(released)
  from cases where outcome in ('failed', 'refunded') group by 1, 2, 3, 4, 5, 6, 7, 8

-- name: daily_seconds
insert into plain.daily_seconds
select day, kind, style, language, writer, painter,
       coalesce(array_agg(outline order by outline) filter (where outline is not null and writer <> 'none'), '{}'),
       coalesce(array_agg(choice order by choice) filter (where choice is not null and writer <> 'none'), '{}'),
       coalesce(array_agg(queue order by queue) filter (where queue is not null), '{}'),
       coalesce(array_agg(making order by making) filter (where making is not null and outcome = 'delivered'), '{}'),
       coalesce(array_agg(sending order by sending) filter (where sending is not null and outcome = 'delivered'), '{}'),
       coalesce(array_agg(total order by total) filter (where total is not null and outcome = 'delivered'), '{}')
  from (select day, kind, style, language, writer, painter, outcome,
               extract(epoch from outlined_at - opened_at)::float8::real as outline, extract(epoch from confirmed_at - outlined_at)::float8::real as choice,
               extract(epoch from first_taken - confirmed_at)::float8::real as queue, extract(epoch from drawn - taken)::float8::real as making,
               extract(epoch from ended - drawn)::float8::real as sending, extract(epoch from ended - confirmed_at)::float8::real as total
          from cases) t
 group by day, kind, style, language, writer, painter
having count(*) filter (where outline is not null and writer <> 'none' or queue is not null) > 0

-- name: daily_call
insert into plain.daily_call
select (started_at at time zone 'UTC')::date, provider, model, step, outcome, count(*), sum(tokens_in), sum(tokens_out), sum(images),
       coalesce(sum(cost_usd), 0), count(*) filter (where cost_usd is null),
       coalesce(array_agg(took order by took) filter (where took is not null), '{}')
  from (select *, extract(epoch from ended_at - started_at)::float8::real as took from usage.source_attempt) a group by 1, 2, 3, 4, 5

-- name: daily_money
insert into plain.daily_money
select (booked_at at time zone 'UTC')::date, kind, debit_code, credit_code, count(*), sum(amount)
  from usage.source_transfer group by 1, 2, 3, 4

-- name: daily_person
insert into plain.daily_person
select day, user_id, sum(requests), sum(confirmed), sum(delivered), sum(charged), sum(bought)
  from (select day, user_id, 1 as requests, confirmed::int as confirmed, (outcome = 'delivered')::int as delivered, charged, 0 as bought
          from cases
        union all
        select (booked_at at time zone 'UTC')::date, user_id, 0, 0, 0, 0, amount from usage.source_transfer
         where starts_with(debit_code, 'sales_') and credit_code = 'user_available') t
 group by day, user_id

-- name: compare_daily
select count(*) as rows from (
  (table usage.daily except table plain.daily) union all (table plain.daily except table usage.daily)) d

-- name: compare_daily_failure
select count(*) as rows from (
  (table usage.daily_failure except table plain.daily_failure) union all (table plain.daily_failure except table usage.daily_failure)) d

-- name: compare_daily_seconds
select count(*) as rows from (
  (table usage.daily_seconds except table plain.daily_seconds) union all (table plain.daily_seconds except table usage.daily_seconds)) d

-- name: compare_daily_call
select count(*) as rows from (
  (table usage.daily_call except table plain.daily_call) union all (table plain.daily_call except table usage.daily_call)) d

-- name: compare_daily_money
select count(*) as rows from (
  (table usage.daily_money except table plain.daily_money) union all (table plain.daily_money except table usage.daily_money)) d

-- name: compare_daily_person
select count(*) as rows from (
  (table usage.daily_person except table plain.daily_person) union all (table plain.daily_person except table usage.daily_person)) d
