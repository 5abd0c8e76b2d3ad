-- The ledger's calls, part one: accounts (the bot) and runs (the pipeline). Every public function is SECURITY DEFINER with
-- a fixed search_path, locks wallet, request and delivery in this order, and may be repeated after a lost answer without a
-- second effect.
set local role led_owner;
set local search_path = ledger, pg_temp;

-- ---------- inside the API ---------------------------------------------------------------------
-- What every transfer passes through names its schema itself: a search_path of its own would cost each call as much as the row.
create function _post(p_key text, p_kind text, p_debit text, p_credit text, p_user bigint, p_amount bigint,
                      p_request uuid default null, p_epoch int default null, p_event_at timestamptz default now(),
                      p_meta jsonb default '{}', p_remainder boolean default false)
returns boolean language plpgsql as $f$
declare old ledger.transfer;
begin                                    -- the caller holds the wallet's row lock; false: a replay, nothing happened
  insert into ledger.transfer (idem_key, kind, debit_code, credit_code, user_id, amount, request_id, epoch, event_at, meta, remainder)
  values (p_key, p_kind, p_debit, p_credit, p_user, p_amount, p_request, p_epoch, p_event_at, p_meta, p_remainder)
  on conflict on constraint transfer_idem_key_once do nothing;
  if found then return true; end if;
  select * into old from ledger.transfer where idem_key = p_key;
  if (old.kind, old.debit_code, old.credit_code, old.user_id, old.amount)
     is distinct from (p_kind, p_debit, p_credit, p_user, p_amount) then
    raise exception 'idempotency key % reused with a different payload', p_key using errcode = 'LD006'; end if;
  return false;
end $f$;

-- What a user owes is collected from whatever becomes available; free of debt, the user may order again.
create function _recover_debt(p_user bigint, p_cause text) returns void language plpgsql set search_path = ledger, pg_temp as $f$
declare take bigint; owed bigint;
begin
  select least(available, debt), debt into take, owed from wallet where user_id = p_user;
  if owed = 0 then return; end if;
  if take > 0 then perform _post('recovery:' || p_cause, 'recovery', 'user_available', 'bad_debt', p_user, take); end if;
  if take = owed then update app_user set restricted = false where id = p_user; end if;
end $f$;

create function _lock_request(p_id uuid) returns request language plpgsql set search_path = ledger, pg_temp as $f$
declare r request;
begin
  select * into r from request where id = p_id;
  if not found then raise exception 'no such request' using errcode = 'LD009'; end if;
  perform 1 from wallet where user_id = r.user_id for no key update;
  select * into r from request where id = p_id for no key update;
  return r;
end $f$;

create function _note(p_note text) returns void language sql set search_path = pg_catalog, pg_temp as $f$
  select set_config('ledger.note', coalesce(left(p_note, 500), ''), true) $f$;

create function _tell(p_topic text, p_key text, p_payload jsonb) returns void
language sql set search_path = ledger, pg_temp as $f$
  insert into outbox (topic, dedupe_key, payload) values (p_topic, p_key, p_payload)
  on conflict on constraint outbox_dedupe_once do nothing $f$;

create function _dispatch(p_key text, p_id uuid, p_epoch int, p_kind text) returns void
language sql set search_path = ledger, pg_temp as $f$
  select _tell('dispatch', p_key, jsonb_build_object('request_id', p_id, 'epoch', p_epoch, 'job', p_kind)) $f$;

-- Resolves the present epoch's hold: charges p_charge, gives the rest back to whoever funded it. Returns what the user got.
create function _resolve_hold(r request, p_charge bigint, p_reason text) returns bigint
language plpgsql set search_path = ledger, pg_temp as $f$
declare
  back text; rest bigint := r.cost - p_charge; tail text := r.id || ':' || r.epoch;
begin
  if r.cost = 0 then return 0; end if;
  select case kind when 'reserve' then 'user_available' else 'goodwill' end into back from transfer
   where request_id = r.id and epoch = r.epoch and kind in ('reserve','reopen','second_life');
  if p_charge > 0 then
    perform _post('capture:' || tail, 'capture', 'user_held', 'revenue', r.user_id, p_charge, r.id, r.epoch); end if;
  if rest > 0 then
    perform _post('release:' || tail, 'release', 'user_held', back, r.user_id, rest, r.id, r.epoch, now(),
                  jsonb_build_object('reason', p_reason), p_charge > 0); end if;
  if back <> 'user_available' then return 0; end if;
  if rest > 0 then perform _recover_debt(r.user_id, 'release:' || tail); end if;
  return rest;
end $f$;

-- The album is in the chat: store its messages, charge, tell.
create function _arrived(r request, p_delivery bigint, p_ids bigint[], p_charge bigint) returns text
language plpgsql set search_path = ledger, pg_temp as $f$
declare charge bigint := coalesce(p_charge, r.cost); back bigint;
begin
  update delivery set state = 'superseded' where request_id = r.id and state in ('sending','unknown') and id <> p_delivery;
  update delivery set state = 'sent', message_ids = coalesce(p_ids, message_ids), charge = p_charge where id = p_delivery;
  back := _resolve_hold(r, charge, 'not delivered');
  update request set state = 'delivered', charged = charge, lease_until = null where id = r.id;
  perform _tell('delivered', 'delivered:' || r.id || ':' || r.epoch,
                jsonb_build_object('request_id', r.id, 'epoch', r.epoch, 'charged', charge, 'returned', back));
  return 'delivered';
end $f$;

-- Nobody knows whether the album arrived: keep the hold, ask the only one who can see the chat, wait for the silence rule.
create function _in_doubt(r request, p_delivery bigint) returns text language plpgsql set search_path = ledger, pg_temp as $f$
begin
  update request set state = 'delivery_unknown', lease_until = null,
         deadline = clock_timestamp() + rule_value('silence_hours') * interval '1 hour' where id = r.id;
  perform _tell('ask_user', 'ask:' || p_delivery, jsonb_build_object('request_id', r.id));
  return 'delivery_unknown';
end $f$;

-- True when an album that had been given up arrived after all, and now settles the request.
create function _late_arrival(r request) returns boolean language plpgsql set search_path = ledger, pg_temp as $f$
declare d delivery;
begin
  select * into d from delivery where request_id = r.id and epoch = r.epoch and state = 'late' order by id limit 1;
  if not found then return false; end if;
  perform _arrived(r, d.id, d.message_ids, d.charge);
  return true;
end $f$;

create function _release(r request, p_reason text, p_note text default null) returns void
language plpgsql set search_path = ledger, pg_temp as $f$
declare back bigint; housed boolean;
begin
  update delivery set state = 'superseded' where request_id = r.id and state in ('sending','unknown');
  housed := exists (select 1 from transfer where request_id = r.id and epoch = r.epoch and kind in ('reopen','second_life'));
  back := _resolve_hold(r, 0, coalesce(p_note, p_reason));
  perform _note(coalesce(p_note, p_reason));
  update request set state = 'released', lease_until = null where id = r.id;
  perform _note(null);
  if not housed then                   -- on the house nothing comes back to the user, who was told of the first refund
    perform _tell('notify_refund', 'refund:' || r.id || ':' || r.epoch,
                  jsonb_build_object('request_id', r.id, 'epoch', r.epoch, 'reason', p_reason, 'credits', back)); end if;
end $f$;

-- As release() for what the run (p_fence) or the clock (p_fence null) gives up; never for what may have arrived.
create function _give_up(r request, p_fence bigint, p_reason text) returns boolean
language plpgsql set search_path = ledger, pg_temp as $f$
declare doubtful bigint;
begin
  if r.state in ('released','delivered') then return false; end if;
  if p_fence is not null and r.fence <> p_fence then return false; end if;
  if p_fence is null and coalesce(r.lease_until, r.deadline) > clock_timestamp() then return false; end if;
  update delivery set state = 'unknown', error = coalesce(error, 'crash while sending')
   where request_id = r.id and state = 'sending';
  select id into doubtful from delivery where request_id = r.id and state = 'unknown';
  if found then
    if not _late_arrival(r) and r.state <> 'delivery_unknown' then perform _in_doubt(r, doubtful); end if;
    return false;
  end if;
  perform _release(r, p_reason);
  return true;
end $f$;

create function _decided(p_action text, p_actor text, p_reason text, p_least int, p_user bigint, p_request uuid, p_detail jsonb)
returns void language plpgsql set search_path = ledger, pg_temp as $f$
begin
  if length(btrim(coalesce(p_actor, ''))) < 2 or length(btrim(coalesce(p_reason, ''))) < p_least then
    raise exception 'actor and reason are required' using errcode = 'LD010'; end if;
  insert into ops_action (action, actor, reason, user_id, request_id, detail)
  values (p_action, p_actor, p_reason, p_user, p_request, p_detail);
end $f$;

-- ---------- accounts (the bot) ------------------------------------------------------------------
create function get_or_create_user(p_tg bigint) returns bigint
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare uid bigint;
begin
  select id into uid from app_user where tg_user_id = p_tg;
  if found then return uid; end if;
  if p_tg is null then raise exception 'a Telegram user id is required' using errcode = 'LD011'; end if;
  insert into app_user (tg_user_id) values (p_tg) on conflict on constraint app_user_tg_once do nothing returning id into uid;
  if found then insert into wallet (user_id) values (uid);
  else select id into uid from app_user where tg_user_id = p_tg; end if;
  return uid;
end $f$;

create function reserve(p_tg bigint, p_client_key text, p_cost bigint, p_request_id uuid default null,
                        p_kind text default 'carousel', p_meta jsonb default '{}', out request_id uuid, out created boolean)
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare uid bigint := get_or_create_user(p_tg); free bigint; blocked boolean; old request; new_id uuid;
begin                                    -- hold, request and dispatch row: one transaction
  select w.available, u.restricted into free, blocked from wallet w join app_user u on u.id = w.user_id
   where w.user_id = uid for no key update of w;
  select * into old from request r where r.user_id = uid and r.client_key = p_client_key;
  if found then
    if (old.cost, old.kind) is distinct from (p_cost, p_kind) or old.id <> coalesce(p_request_id, old.id) then
      raise exception 'client key % reused with a different payload', p_client_key using errcode = 'LD006'; end if;
    request_id := old.id; created := false; return;
  end if;
  if p_cost is null or p_cost < 0 then raise exception 'cost must not be negative' using errcode = 'LD011'; end if;
  if blocked then raise exception 'user restricted' using errcode = 'LD008'; end if;
  if free < p_cost then raise exception 'insufficient credits' using errcode = 'LD007'; end if;
  new_id := coalesce(p_request_id, gen_random_uuid());
  insert into request (id, user_id, client_key, kind, cost, meta, deadline)
  values (new_id, uid, p_client_key, p_kind, p_cost, p_meta,
          clock_timestamp() + rule_value('deadline_minutes') * interval '1 minute');
  insert into request_event (request_id, dst, fence) values (new_id, 'reserved', 0);
  if p_cost > 0 then
    perform _post('reserve:' || new_id || ':1', 'reserve', 'user_available', 'user_held', uid, p_cost, new_id, 1); end if;
  perform _dispatch('dispatch:' || new_id || ':1', new_id, 1, p_kind);
  request_id := new_id; created := true;
end $f$;

create function welcome(p_tg bigint) returns boolean language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare uid bigint := get_or_create_user(p_tg); gift bigint := rule_value('welcome_credits');
begin                                    -- true: the gift was given now
  perform 1 from wallet where user_id = uid for no key update;
  if gift = 0 or exists (select 1 from transfer where idem_key = 'welcome:' || uid) then return false; end if;
  perform _post('welcome:' || uid, 'promo', 'promo', 'user_available', uid, gift);
  perform _recover_debt(uid, 'welcome:' || uid);
  return true;
end $f$;

create function balance(p_tg bigint, out available bigint, out held bigint)
language sql stable security definer set search_path = ledger, pg_temp as $f$
  select coalesce(max(w.available), 0)::bigint, coalesce(max(w.held), 0)::bigint
    from app_user u join wallet w on w.user_id = u.id where u.tg_user_id = p_tg $f$;

-- The last operations, newest first; the next page begins before the smallest id of this one.
create function statement(p_tg bigint, p_limit int default 20, p_before bigint default null)
returns table (id bigint, kind text, amount bigint, request_id uuid, remainder boolean, on_the_house boolean,
               created_at timestamptz)
language sql stable security definer set search_path = ledger, pg_temp as $f$
  select t.id, t.kind, t.amount, t.request_id, t.remainder, 'goodwill' in (t.debit_code, t.credit_code), t.created_at
    from transfer t
   -- By the person's id, never by a join: else the newest of everybody's are read until enough of them are this person's.
   where t.user_id = (select u.id from app_user u where u.tg_user_id = p_tg) and (p_before is null or t.id < p_before)
   order by t.id desc limit least(greatest(p_limit, 1), 100) $f$;

-- Until sending starts: 'cancelled', 'sending' (too late), 'gone' (not this user's), else the request's state.
create function cancel(p_tg bigint, p_id uuid) returns text
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request;
begin
  if not exists (select 1 from request q join app_user u on u.id = q.user_id where q.id = p_id and u.tg_user_id = p_tg) then
    return 'gone'; end if;
  r := _lock_request(p_id);
  if r.state not in ('reserved','running','rendered') then return r.state; end if;
  if exists (select 1 from delivery where request_id = p_id and state in ('sending','unknown')) then return 'sending'; end if;
  perform _release(r, 'cancelled');
  return 'cancelled';
end $f$;

create function user_resolve(p_id uuid, p_got boolean) returns text
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id); d delivery;
begin                                    -- doubt is ended by the only one who can see the chat
  if r.state <> 'delivery_unknown' then return r.state; end if;
  select * into d from delivery where request_id = p_id and state = 'unknown' for no key update;
  if p_got then return _arrived(r, d.id, '{}', d.charge); end if;
  update delivery set state = 'superseded' where id = d.id;
  update request set state = 'rendered', fence = r.fence + 1, run_id = null, lease_until = null,
         deadline = clock_timestamp() + rule_value('deadline_minutes') * interval '1 minute' where id = p_id;
  perform _dispatch('resend:' || d.id, p_id, r.epoch, r.kind);
  return 'rendered';
end $f$;

-- ---------- runs (the pipeline) -------------------------------------------------------------------
create function claim(p_id uuid, p_run text, p_lease interval default '5 minutes', out fence bigint, out verdict text)
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id);
begin                                    -- 'run' with a new fence, 'busy', 'done' (delivered or in doubt), 'refunded'
  fence := r.fence;
  if r.state in ('delivered','delivery_unknown') then verdict := 'done'; return; end if;
  if r.state = 'released' then verdict := 'refunded'; return; end if;
  if r.state in ('running','rendered') and r.run_id is distinct from p_run and r.lease_until > clock_timestamp() then
    verdict := 'busy'; return; end if;
  perform _note('run ' || p_run);
  update request q set state = 'running', fence = r.fence + 1, run_id = p_run,
         lease_until = clock_timestamp() + least(p_lease, interval '1 hour'),
         deadline = greatest(r.deadline, clock_timestamp() + rule_value('deadline_minutes') * interval '1 minute')
   where q.id = p_id returning q.fence into fence;
  perform _note(null);
  verdict := 'run';
end $f$;

-- False: the attempt is over (fenced, settled, or an hour past its deadline) and must stop.
create function heartbeat(p_id uuid, p_fence bigint, p_lease interval default '5 minutes') returns boolean
language sql security definer set search_path = ledger, pg_temp as $f$
  with u as (update request set lease_until = clock_timestamp() + least(p_lease, interval '1 hour')
             where id = p_id and fence = p_fence and state in ('running','rendered')
               and clock_timestamp() < deadline + interval '1 hour' returning 1)
  select exists (select 1 from u) $f$;

create function rendered(p_id uuid, p_fence bigint) returns boolean
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id);
begin
  if r.fence <> p_fence or r.state <> 'running' then return r.fence = p_fence and r.state = 'rendered'; end if;
  update request set state = 'rendered' where id = p_id;
  return true;
end $f$;

-- 'send' with a new intent, 'fenced', the live delivery's state ('sending','unknown','sent'), else the request's state. Who asks
-- again with the same p_intent has not heard the answer, so has sent nothing: 'send' once more, with the same delivery.
create function delivery_begin(p_id uuid, p_fence bigint, p_charge bigint default null, p_intent uuid default null,
                               out delivery_id bigint, out verdict text)
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id); d delivery;
begin                                    -- p_charge: what the album costs if nobody ever learns how the sending ended
  if r.fence <> p_fence then verdict := 'fenced'; return; end if;
  select * into d from delivery x where x.request_id = p_id and x.state in ('sending','sent','unknown');
  if found then
    delivery_id := d.id;
    verdict := case when (d.state, d.fence, d.intent) = ('sending', p_fence, p_intent) then 'send' else d.state end;
    return;
  end if;
  if r.state <> 'rendered' then verdict := r.state; return; end if;
  if p_charge not between 0 and r.cost then raise exception 'charge must be within the cost' using errcode = 'LD011'; end if;
  insert into delivery (request_id, epoch, fence, charge, intent) values (p_id, r.epoch, p_fence, p_charge, p_intent)
  returning id into delivery_id;
  verdict := 'send';
end $f$;

-- p_outcome: 'sent', 'rejected' (certainly not delivered), 'unknown'. Returns the request's state.
create function delivery_end(p_delivery bigint, p_outcome text, p_ids bigint[] default null, p_error text default null,
                             p_charge bigint default null)
returns text language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare d delivery; r request; fee bigint;
begin
  select * into d from delivery where id = p_delivery; r := _lock_request(d.request_id);
  select * into d from delivery where id = p_delivery for no key update;
  fee := coalesce(p_charge, d.charge);
  if p_outcome is null or p_outcome not in ('sent','rejected','unknown') or (p_outcome = 'sent' and p_ids is null) then
    raise exception 'outcome must be sent with message ids, rejected or unknown' using errcode = 'LD011'; end if;
  if fee not between 0 and r.cost then raise exception 'charge must be within the cost' using errcode = 'LD011'; end if;
  if d.state in ('sent','late') or d.state = p_outcome then return r.state; end if;

  if p_outcome = 'sent' then
    if d.epoch = r.epoch and r.state not in ('delivered','released','reserved')
       and (d.state in ('sending','unknown')
            or not exists (select 1 from delivery where request_id = r.id and state = 'sending')) then
      return _arrived(r, d.id, p_ids, fee); end if;
    update delivery set state = 'late', message_ids = p_ids, charge = fee where id = d.id;
    return r.state;
  end if;
  if d.state not in ('sending','unknown') then return r.state; end if;
  update delivery set state = p_outcome, error = left(p_error, 500) where id = d.id;
  if r.state in ('delivered','released') then return r.state; end if;
  if _late_arrival(r) then return 'delivered'; end if;
  if p_outcome = 'unknown' then return _in_doubt(r, d.id); end if;
  if r.state = 'delivery_unknown' then  -- certain after all: back to an attempt that the sweeper or a new run ends
    update request set state = 'rendered', deadline = clock_timestamp() + rule_value('deadline_minutes') * interval '1 minute'
     where id = r.id;
    return 'rendered';
  end if;
  return r.state;
end $f$;

-- p_fence null: by the clock, so only when the lease (or, without one, the deadline) has passed.
create function release(p_id uuid, p_fence bigint, p_reason text) returns boolean
language sql security definer set search_path = ledger, pg_temp as $f$ select _give_up(_lock_request(p_id), p_fence, p_reason) $f$;

-- A rerun of a refunded request on the house. Verdicts as claim(), and 'capped' when today's second lives are used up. A run that has
-- worked on the request before is no rerun: cancelled or given up under way, its next step finds it refunded and stops.
create function second_life(p_id uuid, p_run text, p_lease interval default '5 minutes', out fence bigint, out verdict text)
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id); lives bigint; spent bigint;
begin
  if r.state <> 'released' or exists (select 1 from request_event e where e.request_id = p_id and e.note = 'run ' || p_run) then
    select c.fence, c.verdict into fence, verdict from claim(p_id, p_run, p_lease) c; return; end if;
  perform 1 from rule where name = 'second_lives_per_day' for update;  -- one at a time, so the cap is exact
  select count(*), coalesce(sum(credits), 0) into lives, spent from second_life_log l
   where l.created_at >= date_trunc('day', clock_timestamp(), 'UTC');
  if lives >= rule_value('second_lives_per_day') or spent + r.cost > rule_value('second_life_credits_per_day') then
    fence := r.fence; verdict := 'capped'; return; end if;
  insert into second_life_log (request_id, epoch, run_id, credits) values (p_id, r.epoch + 1, p_run, r.cost);
  perform _note('second life by run ' || p_run);
  update request set state = 'reserved', epoch = r.epoch + 1, charged = 0 where id = p_id;
  perform _note(null);
  if r.cost > 0 then
    perform _post('second_life:' || p_id || ':' || (r.epoch + 1), 'second_life', 'goodwill', 'user_held', r.user_id, r.cost,
                  p_id, r.epoch + 1, now(), jsonb_build_object('run', p_run)); end if;
  select c.fence, c.verdict into fence, verdict from claim(p_id, p_run, p_lease) c;
end $f$;

reset role;
