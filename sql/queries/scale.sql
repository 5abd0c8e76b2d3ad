-- A system that has lived long, for measuring (carousel_pipeline/run_workers/scale). Superuser only: triggers are off.

-- ---------- the application's past: what the made-up history (history.sql) leaves to other rooms ----------

-- name: progress
insert into carousel.progress (request_id, step, done, total)
select r.id, 'sending', jsonb_array_length(r.deck -> 'slides'), jsonb_array_length(r.deck -> 'slides')
  from carousel.request r where r.phase = 'confirmed'

-- name: album
insert into carousel.album (request_id, position, message_id, file_id)
select r.id, n, n, 'AgACAgIAAxkDAAIB' || r.id
  from carousel.request r join ledger.request l on l.id = r.id and l.state = 'delivered',
       generate_series(1, jsonb_array_length(r.deck -> 'slides')) n

-- name: artifact
insert into carousel.artifact (request_id, role, position, recipe, sha256, key, content_type, bytes, width, height)
select r.id, role, n, h, h, 'objects/' || left(h, 2) || '/' || h || '.jpg', 'image/jpeg', 250000, 1080, 1350
  from carousel.request r join ledger.request l on l.id = r.id and l.state = 'delivered',
       unnest(array['picture', 'slide']) role, generate_series(1, jsonb_array_length(r.deck -> 'slides')) n,
       encode(sha256(convert_to(r.id || role || n, 'UTF8')), 'hex') h
 where r.forgotten_at is null

-- name: span
insert into carousel.span (request_id, run_id, number, name, began_at, ended_at)
select r.id, 'past', n, 'paint', r.confirmed_at, r.confirmed_at from carousel.request r, generate_series(1, 12) n
 where r.phase = 'confirmed' and r.forgotten_at is null

-- name: message
insert into bot.message (request_id, kind, chat_id, message_id)
select r.id, shown, r.chat_id, 1 from carousel.request r, unnest(array['outline', 'progress', 'control']) shown
 where shown = 'outline' or r.phase = 'confirmed'

-- name: document
insert into bot.document (request_id, role, position, file_id)
select r.id, 'zip', 1, 'BQACAgIAAxkDAAIB' || r.id
  from (select id from carousel.request where phase = 'confirmed' and abs(hashtext(id::text)) % 5 = 0) r

-- name: fsm
insert into bot.fsm (bot_id, chat_id, user_id) select 1, tg_user_id, tg_user_id from ledger.app_user

-- Updates of the last two days, answered: ten a request.
-- name: updates
insert into bot.inbox (bot_id, update_id, lane, received_at, leased_until, processed_at)
select 1, row_number() over (), r.chat_id, moment, moment, moment
  from (select * from carousel.request order by created_at desc limit (select greatest(10, count(*) / 200) from carousel.request)) r,
       generate_series(1, 10) n, lateral (select clock_timestamp() - n * interval '4 hours' as moment)

-- Handled messages are kept for thirty days.
-- name: outbox
insert into ledger.outbox (topic, dedupe_key, payload, available_at, attempts, done_at, created_at)
select topic, topic || ':' || r.id || ':1', jsonb_build_object('request_id', r.id, 'epoch', 1), r.created_at, 1,
       r.created_at + interval '1 second', r.created_at
  from carousel.request r, unnest(array['dispatch', 'outline_ready', 'delivered']) topic
 where r.created_at > (select max(created_at) - interval '30 days' from carousel.request)

-- name: orders
insert into pay.star_order (user_id, pack, credits, stars, created_at, expires_at, paid_at)
select t.user_id, 'fifty', t.amount, 400, t.created_at, t.created_at, t.created_at
  from ledger.transfer t where t.kind = 'topup' and t.debit_code = 'sales_stars'

-- name: purchases
insert into pay.purchase (source, charge, user_id, order_id, pack, credits, price, found_by, paid_at, credited_at)
select split_part(t.idem_key, ':', 2), split_part(t.idem_key, ':', 3), t.user_id, gen_random_uuid(), 'fifty', t.amount, 400, 'notice',
       t.created_at, t.created_at
  from ledger.transfer t where t.kind = 'topup' order by t.id

-- name: consents
insert into pay.consent (user_id, version) select distinct user_id, 1 from ledger.transfer where kind = 'topup'

-- Payment notices, kept for thirty days like the outbox.
-- name: notices
insert into ledger.inbox (source, dedupe_key, body, received_at, available_at, attempts, processed_at)
select 'tg_update', 'paid:' || t.id, jsonb_build_object('message', jsonb_build_object('from', jsonb_build_object('id', u.tg_user_id))),
       t.created_at, t.created_at, 1, t.created_at
  from ledger.transfer t join ledger.app_user u on u.id = t.user_id
 where t.kind = 'topup' and t.created_at > (select max(created_at) - interval '30 days' from ledger.transfer)

-- Two announcements a year, to everybody.
-- name: broadcasts
with told as (
  insert into house.broadcast (admin, key, body, audience, state, started_at, ended_at)
  select 1, 'past:' || n, 'News', 'all', 'done', clock_timestamp(), clock_timestamp() from generate_series(1, 2) n returning id)
insert into house.recipient (broadcast_id, user_id, state) select told.id, p.user_id, 'sent' from told, bot.person p

-- name: actions
insert into ledger.ops_action (action, actor, reason, user_id, request_id, created_at)
select 'release', 'operator', 'made up', l.user_id, l.id, l.updated_at
  from ledger.request l where l.state = 'released' and abs(hashtext(l.id::text)) % 20 = 0

-- name: audits
insert into carousel.audit (checked_at, violations, rules)
select clock_timestamp() - n * interval '1 hour', 0, '{}' from generate_series(1, 720) n

-- name: vacuum
vacuum (analyze)

-- name: checkpoint
checkpoint

-- name: newest
select id::text as key from carousel.request order by created_at desc limit %(limit)s

-- ---------- Dagster's past: one real run of each kind, multiplied ----------

-- name: past_keys
create temporary table past_key (n bigint generated always as identity, key text not null)

-- name: copy_keys
copy past_key (key) from stdin

-- A run for each key; of 33 one has failed.
-- name: past_runs
create temporary table past_run as
  select n, key, gen_random_uuid()::text as run_id, n * interval '30 seconds' as age,
         case when n %% 33 = 0 then %(failed)s else %(succeeded)s end as model
    from past_key

-- name: runs
insert into runs (run_id, snapshot_id, pipeline_name, status, run_body, partition, partition_set, create_timestamp, update_timestamp,
                  start_time, end_time)
select p.run_id, r.snapshot_id, r.pipeline_name, r.status,
       replace(replace(r.run_body, r.run_id, p.run_id), r.partition, p.key), p.key, r.partition_set, r.create_timestamp - p.age,
       r.update_timestamp - p.age, r.start_time - extract(epoch from p.age), r.end_time - extract(epoch from p.age)
  from past_run p join runs r on r.run_id = p.model order by p.n desc

-- name: run_tags
insert into run_tags (run_id, key, value)
select p.run_id, t.key, replace(t.value, r.partition, p.key)
  from past_run p join runs r on r.run_id = p.model join run_tags t on t.run_id = p.model order by p.n desc, t.id

-- name: dynamic_partitions
insert into dynamic_partitions (partitions_def_name, partition) select %(name)s, key from past_run order by n desc

-- The cleanup deletes a run together with its events; a million requests later nearly all of them have been deleted.
-- name: events
insert into event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
select p.run_id, replace(replace(e.event, r.run_id, p.run_id), r.partition, p.key), e.dagster_event_type, e.timestamp - p.age,
       e.step_key, e.asset_key, case when e.partition is not null then p.key end
  from past_run p join runs r on r.run_id = p.model join event_logs e on e.run_id = p.model
 where p.n <= %(live)s order by p.n desc, e.id

-- name: event_tags
insert into asset_event_tags (asset_key, key, value, event_id, event_timestamp)
select t.asset_key, t.key, t.value, e.id, e.timestamp
  from past_run p join event_logs o on o.run_id = p.model join asset_event_tags t on t.event_id = o.id
  join event_logs e on e.run_id = p.run_id and e.asset_key = o.asset_key and e.dagster_event_type = o.dagster_event_type
 where p.n <= %(live)s

-- name: forget_tags
delete from run_tags t using past_run p where t.run_id = p.run_id and p.n > %(live)s

-- name: forget_runs
delete from runs r using past_run p where r.run_id = p.run_id and p.n > %(live)s

-- name: forget_keys
delete from dynamic_partitions d using past_run p where d.partition = p.key and p.n > %(live)s

-- name: ticks
insert into job_ticks (job_origin_id, selector_id, status, type, timestamp, tick_body)
select id, id, 'SKIPPED', 'SENSOR', (clock_timestamp() - n * interval '5 seconds') at time zone 'UTC', repeat('x', 600)
  from unnest(array['dispatch_requests', 'settle_holds', 'fast_refund', 'fast_refund_canceled']) id, generate_series(1, %(ticks)s) n

-- ---------- measuring ----------

-- name: wrote
select pg_current_xact_id_if_assigned() is not null as wrote

-- name: check_now
set constraints all immediate

-- ---------- the present at the end of it (scene.py), where no call of the product makes it ----------

-- name: scene_inbox
insert into bot.inbox (bot_id, update_id, lane, body, received_at, leased_until)
values (%(bot)s, %(update)s, %(lane)s, %(body)s, clock_timestamp() - interval '5 seconds', clock_timestamp() - interval '4 seconds')

-- Five dispatches that the bot has missed, all others done.
-- name: scene_outbox
update ledger.outbox set created_at = created_at - interval '1 minute',
       done_at = case when id not in (select id from ledger.outbox where topic = 'dispatch' order by id desc limit 5) then clock_timestamp() end
 where done_at is null

-- name: scene_age
do $$ begin
  set local session_replication_role = replica;
  update carousel.request set updated_at = clock_timestamp() - interval '8 days' where client_key = 'old';
end $$

-- name: scene_delivery
select id from ledger.delivery where request_id = %(id)s and state = 'sending'

-- name: scene_waiting
select max(id) from ledger.outbox where done_at is null

-- name: scene_notice
select max(id) from ledger.inbox where processed_at is null

-- name: scene_announced
with told as (
  insert into house.broadcast (admin, key, body, audience, state, started_at, chat_id, message_id)
  values (%(admin)s, 'announced', 'News', 'all', 'sending', clock_timestamp(), %(admin)s, 1) returning id),
heard as (
  insert into house.recipient (broadcast_id, user_id, state)
  select told.id, u.id, case when u.tg_user_id = %(admin)s then 'sending' else 'waiting' end
    from told, ledger.app_user u where u.tg_user_id = any (%(people)s::bigint[]))
select id from told

-- name: megabytes
select pg_database_size(current_database()) / 1048576 as megabytes
