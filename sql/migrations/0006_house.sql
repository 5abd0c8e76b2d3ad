-- The house: who may come in and how often, who may not, what is said to everybody, and what an operator does from a
-- chat.
--
-- What stays true:
-- * an update is let in, counted and stored by one statement, so the pace of a person is one pace over all replicas; a knock that
--   is refused takes nothing, so it never makes the wait longer (m35, m36);
-- * updates of one person are handled in their order, by whoever holds the person's lock; what a crash caught is next in line;
-- * a person hears a broadcast at most once: the row says "sending" before the message leaves, and what a crash caught between
--   the two stays in doubt and is not sent again;
-- * what an operator does in the chat goes through schema house as role led_house, which can do this and nothing else: it reads
--   nobody's words, its gifts have a daily cap, and every act is a row of ledger.ops_action with actor and reason. The bot's own
--   role gets none of it, so a fault in what strangers reach cannot give credits away.

create schema house authorization led_owner;
set local role led_owner;
set local search_path = house, bot, carousel, ledger, pg_temp;

-- ---------- the way in -------------------------------------------------------------------------------------
alter table bot.inbox
  add column lane bigint not null default 0,
  alter column attempts set default 0,
  alter column leased_until set default clock_timestamp(),
  drop constraint inbox_attempts_positive,
  add constraint inbox_attempts_not_negative check (attempts >= 0);
comment on column bot.inbox.lane is 'whose update it is: the sender, else the chat; handled one at a time, in order';
comment on column bot.inbox.leased_until is 'not tried again before; the person''s lock, not this, keeps two replicas apart';
drop index bot.inbox_open;
create index inbox_open on bot.inbox (bot_id, lane, update_id) where processed_at is null;
create index inbox_late on bot.inbox (bot_id, leased_until) where processed_at is null;

create unlogged table bot.bucket (   -- after a crash of the server everybody has a full one, which is no harm
  lane bigint constraint bucket_pk primary key,
  tokens double precision not null,
  told boolean not null default false,
  at timestamptz not null
) with (fillfactor = 70);
comment on table bot.bucket is 'how often a person may still knock: one token an update, refilled with time';

create table house.ban (
  user_id bigint constraint ban_pk primary key constraint ban_user_fk references ledger.app_user (id) on delete cascade,
  created_at timestamptz not null default clock_timestamp()
);
comment on table house.ban is 'who is answered nothing but that; who did it and why stands in ledger.ops_action';

-- Stores updates, each with its lane and whether it comes in whatever the pace. Verdicts: let_in, say_wait (refused, and the
-- first of this rush), ignore, known. `wait_s`: seconds until a token is there again. Buckets are locked in one order.
create function bot.inbox_put(p_bot bigint, p_updates jsonb, p_burst double precision, p_rate double precision)
returns table (id bigint, verdict text, wait_s double precision)
language plpgsql security definer set search_path = bot, ledger, pg_temp as $f$
declare u record; b bot.bucket; have double precision; at_ timestamptz;
begin
  for u in select (x -> 'body' ->> 'update_id')::bigint as id, (x ->> 'lane')::bigint as lane,
                  (x ->> 'essential')::boolean as essential, x -> 'body' as body
             from jsonb_array_elements(p_updates) x order by 2, 1 loop
    id := u.id; wait_s := 0; verdict := 'let_in';
    if not u.essential then
      insert into bot.bucket (lane, tokens, at) values (u.lane, p_burst, clock_timestamp())
      on conflict on constraint bucket_pk do nothing;
      select * into b from bot.bucket k where k.lane = u.lane for update;
      if exists (select 1 from bot.inbox i where i.bot_id = p_bot and i.update_id = u.id) then
        verdict := 'known'; return next; continue;
      end if;
      at_ := clock_timestamp();
      have := least(p_burst, b.tokens + greatest(0, extract(epoch from at_ - b.at)) * p_rate);
      if have >= 1 then
        update bot.bucket k set tokens = have - 1, at = at_, told = b.told and have < p_burst / 2 where k.lane = u.lane;
      else
        verdict := case when b.told then 'ignore' else 'say_wait' end;
        wait_s := (1 - have) / p_rate;
        if not b.told then update bot.bucket k set told = true where k.lane = u.lane; end if;
        return next; continue;
      end if;
    end if;
    insert into bot.inbox (bot_id, update_id, lane, body) values (p_bot, u.id, u.lane, u.body)
    on conflict on constraint inbox_pk do nothing;
    if not found then verdict := 'known';
    elsif u.body #>> '{message,chat,type}' = 'private' then
      -- Whoever writes has not blocked us, whatever we were told last.
      update bot.person p set blocked_at = null from ledger.app_user a
       where a.tg_user_id = u.lane and p.user_id = a.id and p.blocked_at is not null;
    end if;
    return next;
  end loop;
end $f$;

-- Finishes one update of a lane and takes its next one; nothing when there is none, or when it has to wait. The caller holds the
-- lane's lock. An update that took the process down with it p_attempts times is left behind.
create function bot.inbox_next(p_bot bigint, p_lane bigint, p_done bigint, p_attempts int)
returns table (body jsonb, banned boolean)
language plpgsql security definer set search_path = bot, house, ledger, pg_temp as $f$
declare i bot.inbox;
begin
  if p_done is not null then
    update bot.inbox x set processed_at = clock_timestamp(), body = null
     where x.bot_id = p_bot and x.update_id = p_done and x.processed_at is null;
  end if;
  select * into i from bot.inbox x
   where x.bot_id = p_bot and x.lane = p_lane and x.processed_at is null and x.attempts < p_attempts
   order by x.update_id limit 1 for update;
  if not found or i.leased_until > clock_timestamp() then return; end if;
  update bot.inbox x set attempts = x.attempts + 1, leased_until = clock_timestamp() + 2 ^ x.attempts * interval '2 seconds'
   where x.bot_id = p_bot and x.update_id = i.update_id;
  return query select i.body, exists (select 1 from house.ban n join ledger.app_user a on a.id = n.user_id where a.tg_user_id = p_lane);
end $f$;

-- Not the update's fault: an outage, or Telegram asked for patience. The attempt does not count.
create function bot.inbox_postpone(p_bot bigint, p_id bigint, p_wait interval) returns void
language sql security definer set search_path = bot, pg_temp as $f$
  update bot.inbox set attempts = greatest(0, attempts - 1), leased_until = clock_timestamp() + p_wait
   where bot_id = p_bot and update_id = p_id and processed_at is null $f$;

-- ---------- what is said to everybody ---------------------------------------------------------------------------
create table house.broadcast (
  id bigint generated always as identity constraint broadcast_pk primary key,
  admin bigint not null,
  key text not null constraint broadcast_key_once unique,
  body text not null constraint broadcast_body_length check (length(body) between 1 and 8000),
  audience text constraint broadcast_audience check (audience in ('all', 'en', 'ru')),
  state text not null default 'draft' constraint broadcast_state check (state in ('draft', 'sending', 'stopped', 'done')),
  chat_id bigint,
  message_id bigint,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  ended_at timestamptz,
  constraint broadcast_started_has_audience check (state = 'draft' or audience is not null)
);
comment on column house.broadcast.message_id is 'the message in the admin''s chat that shows how far it is';
create index broadcast_running on house.broadcast (id) where state = 'sending';

create table house.recipient (
  broadcast_id bigint not null constraint recipient_broadcast_fk references house.broadcast (id) on delete cascade,
  user_id bigint not null constraint recipient_user_fk references ledger.app_user (id) on delete cascade,
  state text not null default 'waiting'
    constraint recipient_state check (state in ('waiting', 'sending', 'sent', 'blocked', 'failed', 'in_doubt', 'skipped')),
  at timestamptz not null default clock_timestamp(),
  constraint recipient_once primary key (broadcast_id, user_id)
);
comment on column house.recipient.state is 'sending is written before the message leaves: what a crash caught is in_doubt and never sent again';
create index recipient_open on house.recipient (broadcast_id, state, user_id) where state in ('waiting', 'sending');
create index recipient_user on house.recipient (user_id);

create function house._reachable(p_audience text) returns table (user_id bigint)
language sql stable set search_path = house, bot, ledger, pg_temp as $f$
  select p.user_id from bot.person p join ledger.app_user u on u.id = p.user_id
   where u.tg_user_id is not null and p.blocked_at is null and (p_audience = 'all' or p.locale = p_audience)
     and not exists (select 1 from house.ban b where b.user_id = p.user_id) $f$;

create function house.broadcast_draft(p_admin bigint, p_key text, p_body text)
returns table (id bigint, everybody bigint, en bigint, ru bigint)
language plpgsql security definer set search_path = house, pg_temp as $f$
begin                                    -- the same key is the same draft: a redelivered message makes one
  insert into house.broadcast (admin, key, body) values (p_admin, p_key, p_body) on conflict on constraint broadcast_key_once do nothing;
  return query select b.id, (select count(*) from house._reachable('all')), (select count(*) from house._reachable('en')),
                      (select count(*) from house._reachable('ru'))
    from house.broadcast b where b.key = p_key and b.admin = p_admin;
end $f$;

-- Who hears it is settled now, by name. False: it began already, or there is no such draft of this admin.
create function house.broadcast_start(p_admin bigint, p_id bigint, p_audience text, p_reason text, p_chat bigint, p_message bigint)
returns boolean
language plpgsql security definer set search_path = house, ledger, pg_temp as $f$
declare many bigint;
begin
  update house.broadcast b set state = 'sending', audience = p_audience, started_at = clock_timestamp(), chat_id = p_chat,
         message_id = p_message where b.id = p_id and b.admin = p_admin and b.state = 'draft';
  if not found then return false; end if;
  insert into house.recipient (broadcast_id, user_id) select p_id, r.user_id from house._reachable(p_audience) r;
  get diagnostics many = row_count;
  perform ledger._decided('broadcast', 'telegram:' || p_admin, p_reason, 5, null, null,
                          jsonb_build_object('broadcast', p_id, 'audience', p_audience, 'people', many));
  perform pg_notify('outbox', 'broadcast');
  return true;
end $f$;

create function house.broadcast_stop(p_admin bigint, p_id bigint) returns boolean
language plpgsql security definer set search_path = house, ledger, pg_temp as $f$
begin                                    -- at once, whoever began it
  update house.broadcast b set state = 'stopped', ended_at = clock_timestamp() where b.id = p_id and b.state in ('draft', 'sending');
  if not found then return false; end if;
  perform ledger._decided('broadcast_stop', 'telegram:' || p_admin, 'stopped in the chat', 1, null, null, jsonb_build_object('broadcast', p_id));
  return true;
end $f$;

-- Takes the next people of the oldest running broadcast. From here on they are not taken again, whatever happens.
create function house.broadcast_take(p_limit int) returns table (broadcast_id bigint, user_id bigint, tg_user_id bigint, body text)
language plpgsql security definer set search_path = house, bot, ledger, pg_temp as $f$
declare running house.broadcast;
begin
  select * into running from house.broadcast b where b.state = 'sending' order by b.id limit 1 for share;
  if not found then return; end if;
  return query
    with next as (
      select r.user_id from house.recipient r where r.broadcast_id = running.id and r.state = 'waiting'
       order by r.user_id limit least(greatest(p_limit, 1), 100) for update skip locked),
    taken as (
      update house.recipient r set at = clock_timestamp(), state = case
               when exists (select 1 from bot.person p join ledger.app_user u on u.id = p.user_id
                             where p.user_id = r.user_id and p.blocked_at is null and u.tg_user_id is not null)
                    and not exists (select 1 from house.ban b where b.user_id = r.user_id) then 'sending' else 'skipped' end
        from next where r.broadcast_id = running.id and r.user_id = next.user_id returning r.user_id, r.state)
    select running.id, t.user_id, u.tg_user_id, running.body
      from taken t join ledger.app_user u on u.id = t.user_id where t.state = 'sending' order by t.user_id;
end $f$;

-- What became of one of them; 'waiting' when the message certainly never left.
create function house.broadcast_mark(p_id bigint, p_user bigint, p_state text) returns void
language sql security definer set search_path = house, pg_temp as $f$
  update house.recipient set state = p_state, at = clock_timestamp()
   where broadcast_id = p_id and user_id = p_user and state = 'sending' $f$;

-- The running broadcast in figures; it is done when nobody waits and nobody is being sent to. A sending that nobody finished for
-- two minutes was caught by a crash: in doubt.
create function house.broadcast_look()
returns table (id bigint, state text, chat_id bigint, message_id bigint, locale text, waiting bigint, sent bigint, missed bigint)
language plpgsql security definer set search_path = house, pg_temp as $f$
declare running house.broadcast;
begin
  select * into running from house.broadcast b where b.state = 'sending' order by b.id limit 1 for update;
  if not found then return; end if;
  update house.recipient r set state = 'in_doubt'
   where r.broadcast_id = running.id and r.state = 'sending' and r.at < clock_timestamp() - interval '2 minutes';
  if not exists (select 1 from house.recipient r where r.broadcast_id = running.id and r.state in ('waiting', 'sending')) then
    update house.broadcast b set state = 'done', ended_at = clock_timestamp() where b.id = running.id;
  end if;
  return query select * from house.broadcast_figures(running.id);
end $f$;

-- Planned for its announcement at every call: for any one of a few that went to everybody, all recipients are read.
create function house.broadcast_figures(p_id bigint)
returns table (id bigint, state text, chat_id bigint, message_id bigint, locale text, waiting bigint, sent bigint, missed bigint)
language sql stable security definer set search_path = house, bot, ledger, pg_temp set plan_cache_mode = force_custom_plan as $f$
  select b.id, b.state, b.chat_id, b.message_id,
         (select p.locale from bot.person p join ledger.app_user u on u.id = p.user_id where u.tg_user_id = b.admin),
         count(r.user_id) filter (where r.state in ('waiting', 'sending')),
         count(r.user_id) filter (where r.state = 'sent'),
         count(r.user_id) filter (where r.state in ('blocked', 'failed', 'in_doubt', 'skipped'))
    from house.broadcast b left join house.recipient r on r.broadcast_id = b.id where b.id = p_id group by b.id $f$;

-- ---------- what an operator sees from a chat: figures and states, nobody's words -------------------------------
create index person_created on bot.person (created_at);
create index person_blocked on bot.person (user_id) where blocked_at is not null;

-- now() and not clock_timestamp(), which is asked anew for every row and so by no index.
create function house.numbers()
returns table (new_people bigint, active_people bigint, outlines bigint, confirmed bigint, delivered bigint, refunded bigint,
               running bigint, in_doubt bigint, sold bigint, given bigint, charged bigint, cost_usd numeric,
               blocked bigint, banned bigint, dead_letters bigint, unanswered bigint)
language sql stable security definer set search_path = house, bot, carousel, ledger, pg_temp as $f$
  select (select count(*) from bot.person where created_at >= date_trunc('day', now(), 'UTC')),
         (select count(distinct user_id) from carousel.request where created_at >= date_trunc('day', now(), 'UTC')),
         (select count(*) from carousel.request where created_at >= date_trunc('day', now(), 'UTC')),
         (select count(*) from ledger.request_event where src is null and dst = 'reserved' and created_at >= date_trunc('day', now(), 'UTC')),
         (select count(*) from ledger.request_event where dst = 'delivered' and created_at >= date_trunc('day', now(), 'UTC')),
         (select count(distinct request_id) from ledger.transfer
           where kind = 'release' and not remainder and created_at >= date_trunc('day', now(), 'UTC')),
         (select count(*) from ledger.request where state in ('reserved', 'running', 'rendered')),
         (select count(*) from ledger.request where state = 'delivery_unknown'),
         (select coalesce(sum(amount), 0)::bigint from ledger.transfer where kind = 'topup' and created_at >= date_trunc('day', now(), 'UTC')),
         (select coalesce(sum(amount), 0)::bigint from ledger.transfer where kind = 'promo' and created_at >= date_trunc('day', now(), 'UTC')),
         (select coalesce(sum(amount), 0)::bigint from ledger.transfer where kind = 'capture' and created_at >= date_trunc('day', now(), 'UTC')),
         (select coalesce(sum(a.cost_usd), 0) from carousel.attempt a where a.started_at >= date_trunc('day', now(), 'UTC')),
         (select count(*) from bot.person where blocked_at is not null),
         (select count(*) from house.ban),
         (select count(*) from ledger.outbox where dead and done_at is null),
         (select count(*) from bot.inbox where processed_at is null and received_at < clock_timestamp() - interval '1 minute') $f$;

create function house.person(p_tg bigint)
returns table (user_id bigint, locale text, available bigint, held bigint, debt bigint, restricted boolean, banned boolean,
               blocked boolean, since timestamptz, requests bigint, delivered bigint)
language sql stable security definer set search_path = house, bot, carousel, ledger, pg_temp as $f$
  select u.id, p.locale, w.available, w.held, w.debt, u.restricted, exists (select 1 from house.ban b where b.user_id = u.id),
         p.blocked_at is not null, u.created_at, (select count(*) from carousel.request r where r.user_id = u.id),
         (select count(*) from ledger.request l where l.user_id = u.id and l.state = 'delivered')
    from ledger.app_user u join ledger.wallet w on w.user_id = u.id left join bot.person p on p.user_id = u.id
   where u.tg_user_id = p_tg $f$;

create view house.brief as
  select r.id, r.user_id, u.tg_user_id, r.kind, r.parent_id, r.phase, r.failure, r.price, l.state, l.cost, l.charged, l.epoch,
         coalesce(l.run_id, (select max(a.run_id) from carousel.attempt a where a.request_id = r.id)) as run_id,
         r.options ->> 'style' as style, r.options ->> 'ratio' as ratio, jsonb_array_length(r.deck -> 'slides') as slides,
         length(r.source) as characters, r.created_at
    from carousel.request r join ledger.app_user u on u.id = r.user_id left join ledger.request l on l.id = r.id;

create function house.requests_of(p_tg bigint, p_limit int) returns setof house.brief
language sql stable security definer set search_path = house, ledger, pg_temp as $f$
  select b.* from house.brief b where b.tg_user_id = p_tg order by b.created_at desc, b.id limit least(greatest(p_limit, 1), 20) $f$;

-- The requests whose id begins so: two are enough to say that the beginning was too short. Planned once
-- a connection: planning took three times as long as the rest.
create function house.requests_from(p_low uuid, p_high uuid) returns setof house.brief
language sql stable security definer set search_path = house, pg_temp set plan_cache_mode = force_generic_plan as $f$
  select b.* from house.brief b where b.id between p_low and p_high order by b.id limit 2 $f$;

create function house.story(p_id uuid, p_limit int default 40) returns table (at timestamptz, what text, detail text)
language sql stable security definer set search_path = house, carousel, ledger, pg_temp as $f$
  select * from (
    select r.created_at as at, 'opened' as what, r.kind as detail from carousel.request r where r.id = p_id
    union all select r.outlined_at, 'outlined', r.price::text from carousel.request r where r.id = p_id and r.outlined_at is not null
    union all select e.created_at, 'state', concat_ws(' → ', e.src, e.dst) || coalesce(' · ' || e.note, '')
                from ledger.request_event e where e.request_id = p_id
    union all select t.created_at, 'credits', t.kind || ' ' || t.amount from ledger.transfer_of_hold t where t.request_id = p_id
    union all select d.updated_at, 'delivery', d.state || coalesce(' · ' || d.error, '') from ledger.delivery d where d.request_id = p_id
    union all select a.started_at, 'call', concat_ws(' ', a.step, a.slide, a.provider, a.outcome)
                from carousel.attempt a where a.request_id = p_id
    union all select o.created_at, 'decision', concat_ws(' · ', o.action, o.actor, o.reason)
                from ledger.ops_action o where o.request_id = p_id) told
   order by at desc, what limit least(greatest(p_limit, 1), 200) $f$;

-- ---------- what an operator does from a chat -------------------------------------------------------------------
insert into ledger.rule values ('house_gifts_per_day', 300, 'credits that operators may give from the chat, per UTC day, all together');

create function house._give(p_admin bigint, p_tg bigint, p_credits bigint, p_key text, p_reason text) returns text
language plpgsql set search_path = house, ledger, pg_temp as $f$
declare given bigint;
begin
  perform pg_advisory_xact_lock(hashtextextended('house gifts', 0));
  if exists (select 1 from ledger.transfer t where t.idem_key = 'promo:' || p_key) then return 'already'; end if;
  select coalesce(sum((o.detail ->> 'credits')::bigint), 0) into given from ledger.ops_action o
   where o.action = 'grant' and o.actor like 'telegram:%' and o.created_at >= date_trunc('day', clock_timestamp(), 'UTC');
  if given + p_credits > ledger.rule_value('house_gifts_per_day') then return 'cap'; end if;
  perform ledger.promo(p_tg, p_credits, p_key, 'telegram:' || p_admin, p_reason);
  return 'given';
end $f$;

-- 'given', 'already' (this gift was made), 'cap' (enough for today), 'unknown' (nobody with this id has ever written).
create function house.grant_credits(p_admin bigint, p_tg bigint, p_credits bigint, p_key text, p_reason text) returns text
language plpgsql security definer set search_path = house, ledger, pg_temp as $f$
begin
  if not exists (select 1 from ledger.app_user u where u.tg_user_id = p_tg) then return 'unknown'; end if;
  if p_credits is null or p_credits not between 1 and 1000 then
    raise exception 'a gift is 1 to 1000 credits' using errcode = 'LD011'; end if;
  return house._give(p_admin, p_tg, p_credits, 'house:' || p_key, p_reason);
end $f$;

-- Money back: what is held is released, what was charged is given once more. 'released', 'given', 'already', 'cap', 'nothing'.
create function house.refund(p_admin bigint, p_id uuid, p_reason text) returns text
language plpgsql security definer set search_path = house, ledger, pg_temp as $f$
declare r record;
begin
  select l.state, l.charged, u.tg_user_id into r from ledger.request l join ledger.app_user u on u.id = l.user_id where l.id = p_id;
  if not found then return 'nothing'; end if;
  if r.state = 'delivered' then
    if r.charged = 0 or r.tg_user_id is null then return 'nothing'; end if;
    return house._give(p_admin, r.tg_user_id, r.charged, 'house:refund:' || p_id, p_reason);
  end if;
  if r.state = 'released' then return 'already'; end if;
  return case when ledger.ops_release(p_id, 'telegram:' || p_admin, p_reason) then 'released' else 'already' end;
end $f$;

-- False: it is so already, or nobody with this id has ever written.
create function house.set_ban(p_admin bigint, p_tg bigint, p_banned boolean, p_reason text) returns boolean
language plpgsql security definer set search_path = house, ledger, pg_temp as $f$
declare uid bigint;
begin
  select u.id into uid from ledger.app_user u where u.tg_user_id = p_tg;
  if not found then return false; end if;
  if p_banned then insert into house.ban (user_id) values (uid) on conflict on constraint ban_pk do nothing;
  else delete from house.ban b where b.user_id = uid; end if;
  if not found then return false; end if;
  perform ledger._decided(case when p_banned then 'ban' else 'unban' end, 'telegram:' || p_admin, p_reason, 5, uid, null, '{}');
  return true;
end $f$;

revoke all on all tables in schema house from public;
revoke all on bot.bucket from public;
revoke all on all functions in schema house from public;
grant usage on schema house to led_bot, led_house;
grant execute on function
  bot.inbox_put(bigint, jsonb, double precision, double precision), bot.inbox_next(bigint, bigint, bigint, int),
  bot.inbox_postpone(bigint, bigint, interval),
  house.broadcast_take(int), house.broadcast_mark(bigint, bigint, text), house.broadcast_look(),
  house.broadcast_figures(bigint) to led_bot;
grant delete, select on bot.bucket to led_bot;
grant execute on function
  house.broadcast_draft(bigint, text, text), house.broadcast_start(bigint, bigint, text, text, bigint, bigint),
  house.broadcast_stop(bigint, bigint), house.broadcast_figures(bigint), house.numbers(), house.person(bigint),
  house.requests_of(bigint, int), house.requests_from(uuid, uuid), house.story(uuid, int),
  house.grant_credits(bigint, bigint, bigint, text, text), house.refund(bigint, uuid, text),
  house.set_ban(bigint, bigint, boolean, text) to led_house;
reset role;
