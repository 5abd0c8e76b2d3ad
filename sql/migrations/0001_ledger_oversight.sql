-- The ledger's calls, part two: what is overdue, payments, operators, messages; what must never be seen; who may do what.
set local role led_owner;
set local search_path = ledger, pg_temp;

-- ---------- what is overdue (the sensor and the sweeper) --------------------------------------------
-- Every open hold with what the clock says about it, in pages by id. A run belongs to the present attempt when it holds the
-- claim (run_id) or, before any claim, when it was started for dispatch_key.
create function open_holds(p_grace interval default '0', p_limit int default 500, p_after uuid default null,
                           p_id uuid default null)               -- p_id: this one alone
returns table (id uuid, user_id bigint, state text, epoch int, fence bigint, cost bigint, run_id text, dispatch_key text,
               lease_alive boolean, overdue boolean, sending boolean, idle_s double precision, age_s double precision)
language sql stable security definer set search_path = ledger, pg_temp as $f$
  select r.id, r.user_id, r.state, r.epoch, r.fence, r.cost, r.run_id,
         coalesce((select max(o.dedupe_key) from delivery d join outbox o on o.dedupe_key = 'resend:' || d.id
                    where d.request_id = r.id and d.epoch = r.epoch
                      and d.id = (select max(id) from delivery x where x.request_id = r.id and x.state in ('superseded','late'))),
                  'dispatch:' || r.id || ':' || r.epoch),
         coalesce(r.lease_until > clock_timestamp(), false),
         coalesce(r.lease_until, r.deadline) <= clock_timestamp(),
         exists (select 1 from delivery d where d.request_id = r.id and d.state = 'sending'),
         extract(epoch from clock_timestamp() - r.updated_at)::double precision,
         extract(epoch from clock_timestamp() - r.created_at)::double precision
    from request r
   where r.state in ('reserved','running','rendered','delivery_unknown') and r.updated_at <= clock_timestamp() - p_grace
     and (p_after is null or r.id > p_after) and (p_id is null or r.id = p_id)
   order by r.id limit least(greatest(p_limit, 1), 5000) $f$;

create function due(p_limit int default 100, p_after uuid default null) returns setof uuid
language sql stable security definer set search_path = ledger, pg_temp as $f$
  select id from request
   where (state in ('reserved','running','rendered') and coalesce(lease_until, deadline) <= clock_timestamp()
          or state = 'delivery_unknown' and deadline <= clock_timestamp())
     and (p_after is null or id > p_after)
   order by id limit least(greatest(p_limit, 1), 5000) $f$;

-- Settles one overdue request: 'released', 'asked' (it may have arrived), 'charged' (silence, or it had arrived), 'waiting'.
create function settle_due(p_id uuid) returns text
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id); d delivery;
begin
  if r.state = 'delivery_unknown' then
    if r.deadline > clock_timestamp() then return 'waiting'; end if;
    select * into d from delivery where request_id = p_id and state = 'unknown' for no key update;
    if found then
      perform _note('silence');
      perform _arrived(r, d.id, '{}', d.charge);
      perform _note(null);
      return 'charged';
    end if;
  end if;
  -- A lease that ended before the time was up belonged to a run that failed or died.
  if _give_up(r, null, case when r.deadline <= clock_timestamp() then 'timeout' else 'failed' end) then return 'released'; end if;
  return case (select state from request where id = p_id)
    when 'delivery_unknown' then 'asked' when 'delivered' then 'charged' else 'waiting' end;
end $f$;

-- ---------- payments ----------------------------------------------------------------------------------
create function topup(p_tg bigint, p_source text, p_charge text, p_credits bigint, p_event_at timestamptz,
                      p_meta jsonb default '{}')
returns boolean language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare uid bigint; owed bigint; fresh boolean;
begin
  select w.user_id, w.debt into uid, owed from app_user u join wallet w on w.user_id = u.id
   where u.tg_user_id = p_tg for no key update of w;
  if not found then
    uid := get_or_create_user(p_tg);
    select debt into owed from wallet where user_id = uid for no key update;
  end if;
  fresh := _post('topup:' || p_source || ':' || p_charge, 'topup', 'sales_' || p_source, 'user_available', uid, p_credits,
                 null, null, coalesce(p_event_at, now()), p_meta);
  if fresh and owed > 0 then perform _recover_debt(uid, 'topup:' || p_source || ':' || p_charge); end if;
  return fresh;
end $f$;

create function promo(p_tg bigint, p_credits bigint, p_key text, p_actor text, p_reason text) returns boolean
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare uid bigint := get_or_create_user(p_tg); fresh boolean;
begin
  perform 1 from wallet where user_id = uid for no key update;
  fresh := _post('promo:' || p_key, 'promo', 'promo', 'user_available', uid, p_credits, null, null, now(),
                 jsonb_build_object('actor', p_actor, 'reason', p_reason));
  if fresh then
    perform _decided('grant', p_actor, p_reason, 5, uid, null, jsonb_build_object('credits', p_credits, 'key', p_key));
    perform _recover_debt(uid, 'promo:' || p_key);
  end if;
  return fresh;
end $f$;

-- The provider took the money back. Never fails on an empty wallet: what cannot be taken becomes debt, and the user is restricted
-- until it is recovered. A second notice of the same payment, under whatever name, changes nothing.
create function chargeback(p_tg bigint, p_source text, p_charge text, p_credits bigint, p_kind text default 'chargeback')
returns boolean language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare uid bigint; paid transfer; old reversal; take bigint; tail text := p_source || ':' || p_charge;
begin
  select id into uid from app_user where tg_user_id = p_tg;
  select available into take from wallet where user_id = uid for no key update;
  select * into paid from transfer where idem_key = 'topup:' || tail;
  if not found or paid.user_id is distinct from uid then
    raise exception 'no such payment of this user' using errcode = 'LD012'; end if;
  if p_kind is null or p_kind not in ('chargeback','buyer_refund') or p_credits is null
     or p_credits not between 1 and paid.amount then
    raise exception 'a reversal is a chargeback or buyer_refund of at most what was paid' using errcode = 'LD011'; end if;
  select * into old from reversal where source = p_source and charge = p_charge;
  if found then
    if old.credits <> p_credits then
      raise exception 'payment % was reversed with other credits', p_charge using errcode = 'LD006'; end if;
    return false;
  end if;
  insert into reversal (source, charge, kind, user_id, credits) values (p_source, p_charge, p_kind, uid, p_credits);
  take := least(take, p_credits);
  if take > 0 then perform _post(p_kind || ':' || tail, p_kind, 'user_available', 'sales_' || p_source, uid, take); end if;
  if p_credits > take then
    perform _post('bad_debt:' || tail, 'bad_debt', 'bad_debt', 'sales_' || p_source, uid, p_credits - take);
    update app_user set restricted = true where id = uid;
  end if;
  return true;
end $f$;

create function rub_order_open(p_tg bigint, p_pack text, p_credits bigint, p_kopecks bigint) returns uuid
language sql security definer set search_path = ledger, pg_temp as $f$
  insert into rub_order (user_id, pack, credits, kopecks) values (get_or_create_user(p_tg), p_pack, p_credits, p_kopecks)
  returning id $f$;

-- What the provider's own books say about an order; a canceled notice after a paid one changes nothing. Returns the order's state.
create function rub_order_settle(p_order uuid, p_payment text, p_paid boolean, p_kopecks bigint, p_event_at timestamptz)
returns text language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare o rub_order; tg bigint;
begin
  select * into o from rub_order where id = p_order;
  if not found then raise exception 'no such order' using errcode = 'LD012'; end if;
  perform 1 from wallet where user_id = o.user_id for no key update;
  select * into o from rub_order where id = p_order for no key update;
  if p_paid then
    if (p_kopecks, p_payment) is distinct from (o.kopecks, coalesce(o.payment_id, p_payment)) then
      raise exception 'the payment is not of this order' using errcode = 'LD006'; end if;
    select tg_user_id into tg from app_user where id = o.user_id;
    update rub_order set state = 'paid', payment_id = p_payment where id = p_order;
    perform topup(tg, 'rub', p_payment, o.credits, p_event_at, jsonb_build_object('order', p_order));
    return 'paid';
  end if;
  if o.state = 'open' then update rub_order set state = 'canceled' where id = p_order; return 'canceled'; end if;
  return o.state;
end $f$;

-- ---------- operators: every decision with actor and reason ----------------------------------------------
create function ops_release(p_id uuid, p_actor text, p_reason text) returns boolean
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id);
begin                                    -- a human may refund what is in doubt
  perform _decided('release', p_actor, p_reason, 1, r.user_id, p_id, jsonb_build_object('state', r.state));
  if r.state in ('released','delivered') then return false; end if;
  perform _release(r, 'operator', p_actor || ': ' || p_reason);
  return true;
end $f$;

create function ops_reopen(p_id uuid, p_funding text, p_actor text, p_reason text) returns int
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id); new_epoch int := r.epoch + 1; who jsonb; free bigint;
begin                                    -- a new epoch with a new hold, paid by the house or by the user once more
  if p_funding is null or p_funding not in ('house','user') then
    raise exception 'funding must be house or user' using errcode = 'LD010'; end if;
  perform _decided('reopen', p_actor, p_reason, 5, r.user_id, p_id, jsonb_build_object('funding', p_funding, 'epoch', new_epoch));
  if r.state <> 'released' then
    raise exception 'only a released request can be reopened (state %)', r.state using errcode = 'LD004'; end if;
  select available into free from wallet where user_id = r.user_id;
  if p_funding = 'user' and free < r.cost then raise exception 'insufficient credits' using errcode = 'LD007'; end if;
  perform _note(p_actor || ': ' || p_reason);
  update request set state = 'reserved', epoch = new_epoch, run_id = null, lease_until = null,
         deadline = clock_timestamp() + rule_value('deadline_minutes') * interval '1 minute' where id = p_id;
  perform _note(null);
  who := jsonb_build_object('actor', p_actor, 'reason', p_reason);
  if r.cost > 0 and p_funding = 'house' then
    perform _post('reopen:' || p_id || ':' || new_epoch, 'reopen', 'goodwill', 'user_held', r.user_id, r.cost, p_id, new_epoch, now(), who);
  elsif r.cost > 0 then
    perform _post('reserve:' || p_id || ':' || new_epoch, 'reserve', 'user_available', 'user_held', r.user_id, r.cost, p_id, new_epoch,
                  now(), who);
  end if;
  perform _dispatch('dispatch:' || p_id || ':' || new_epoch, p_id, new_epoch, r.kind);
  return new_epoch;
end $f$;

create function ops_resolve(p_id uuid, p_got boolean, p_actor text, p_reason text) returns text
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare r request := _lock_request(p_id);
begin                                    -- the user's word, said by an operator
  perform _decided('resolve', p_actor, p_reason, 1, r.user_id, p_id, jsonb_build_object('got', p_got));
  return user_resolve(p_id, p_got);
end $f$;

create function ops_rule(p_name text, p_value bigint, p_actor text, p_reason text) returns bigint
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare old bigint;
begin                                    -- returns what it was before
  select value into old from rule where name = p_name for update;
  if not found then raise exception 'no such rule: %', p_name using errcode = 'LD011'; end if;
  perform _decided('rule', p_actor, p_reason, 5, null, null, jsonb_build_object('name', p_name, 'from', old, 'to', p_value));
  update rule set value = p_value where name = p_name;
  return old;
end $f$;

-- A dead letter is tried again from the beginning, or given up for good.
create function ops_outbox(p_id bigint, p_retry boolean, p_actor text, p_reason text) returns boolean
language plpgsql security definer set search_path = ledger, pg_temp as $f$
begin
  perform _decided('outbox', p_actor, p_reason, 1, null, null, jsonb_build_object('outbox', p_id, 'retry', p_retry));
  if p_retry then
    update outbox set dead = false, attempts = 0, available_at = clock_timestamp() where id = p_id and done_at is null;
  else
    update outbox set done_at = clock_timestamp() where id = p_id and done_at is null;
  end if;
  return found;
end $f$;

-- Erasure keeps the books and forgets the person.
create function ops_erase(p_tg bigint, p_actor text, p_reason text) returns boolean
language plpgsql security definer set search_path = ledger, pg_temp as $f$
declare uid bigint; open_held bigint;
begin
  select id into uid from app_user where tg_user_id = p_tg;
  if not found then return false; end if;
  select held into open_held from wallet where user_id = uid for no key update;
  if open_held > 0 or exists (select 1 from request where user_id = uid and state not in ('delivered','released')) then
    raise exception 'a user with open requests cannot be erased' using errcode = 'LD004'; end if;
  perform _decided('erase', p_actor, p_reason, 1, uid, null, '{}');
  update request set client_key = 'erased:' || id where user_id = uid;
  update app_user set tg_user_id = null, erased_at = clock_timestamp() where id = uid;
  return true;
end $f$;

-- ---------- messages that must not be lost ------------------------------------------------------------------
create function inbox_put(p_source text, p_key text, p_body jsonb) returns boolean
language plpgsql security definer set search_path = ledger, pg_temp as $f$
begin                                    -- false: known already
  insert into inbox (source, dedupe_key, body) values (p_source, p_key, p_body)
  on conflict on constraint inbox_dedupe_once do nothing;
  return found;
end $f$;

create function inbox_claim(p_limit int, p_lease interval) returns setof inbox
language sql security definer set search_path = ledger, pg_temp as $f$
  update inbox i set attempts = i.attempts + 1, available_at = clock_timestamp() + p_lease
    from (select id from inbox where processed_at is null and not dead and available_at <= clock_timestamp()
          order by available_at, id limit p_limit for update skip locked) next
   where i.id = next.id returning i.* $f$;

create function inbox_done(p_id bigint) returns void language sql security definer set search_path = ledger, pg_temp as $f$
  update inbox set processed_at = clock_timestamp(), last_error = null where id = p_id and processed_at is null $f$;

create function inbox_failed(p_id bigint, p_error text, p_retry_in interval, p_max_attempts int) returns boolean
language sql security definer set search_path = ledger, pg_temp as $f$
  update inbox set last_error = left(p_error, 500), available_at = clock_timestamp() + p_retry_in, dead = attempts >= p_max_attempts
   where id = p_id and processed_at is null returning dead $f$;

create function outbox_claim(p_topics text[], p_limit int, p_lease interval) returns setof outbox
language sql security definer set search_path = ledger, pg_temp as $f$
  update outbox o set attempts = o.attempts + 1, available_at = clock_timestamp() + p_lease
    from (select id from outbox where done_at is null and not dead and available_at <= clock_timestamp() and topic = any (p_topics)
          order by available_at, id limit p_limit for update skip locked) next
   where o.id = next.id returning o.* $f$;

create function outbox_done(p_id bigint) returns void language sql security definer set search_path = ledger, pg_temp as $f$
  update outbox set done_at = clock_timestamp(), last_error = null where id = p_id and done_at is null $f$;

-- True: it was the last attempt, the row is a dead letter now.
create function outbox_failed(p_id bigint, p_error text, p_retry_in interval, p_max_attempts int) returns boolean
language sql security definer set search_path = ledger, pg_temp as $f$
  update outbox set last_error = left(p_error, 500), available_at = clock_timestamp() + p_retry_in,
                    dead = attempts >= p_max_attempts
   where id = p_id and done_at is null returning dead $f$;

-- What was handled long ago; the journal, requests and deliveries stay.
-- Planned for its values at every call: a plan without them, which PostgreSQL may choose, reads the tables whole.
create function prune(p_age interval, p_limit int default 10000) returns bigint
language sql security definer set search_path = ledger, pg_temp set plan_cache_mode = force_custom_plan as $f$
  with o as (delete from outbox where id in (select id from outbox where done_at < now() - greatest(p_age, '7 days')
                                             order by done_at, id limit p_limit) returning 1),
       i as (delete from inbox where id in (select id from inbox where processed_at < now() - greatest(p_age, '7 days')
                                            order by processed_at, id limit p_limit) returning 1)
  select (select count(*) from o) + (select count(*) from i) $f$;

-- ---------- what must never be seen --------------------------------------------------------------------------
create view invariant_violation as
  with sums as (
    select user_id,
           sum(case when credit_code = 'user_available' then amount when debit_code = 'user_available' then -amount else 0 end) as a,
           sum(case when credit_code = 'user_held' then amount when debit_code = 'user_held' then -amount else 0 end) as h,
           sum(case when debit_code = 'bad_debt' then amount when credit_code = 'bad_debt' then -amount else 0 end) as d
      from transfer group by user_id),
  books as (
    select w.user_id, w.available, w.held, w.debt, coalesce(s.a, 0) as a, coalesce(s.h, 0) as h, coalesce(s.d, 0) as d
      from wallet w left join sums s using (user_id)),
  holds as (
    select request_id, epoch, sum(amount) filter (where kind in ('reserve','reopen','second_life')) as opened,
           coalesce(sum(amount) filter (where kind in ('capture','release')), 0) as resolved,
           coalesce(sum(amount) filter (where kind = 'capture'), 0) as captured
      from transfer where request_id is not null group by request_id, epoch)
  select 'I1 wallet.available = journal' as rule, user_id::text as id, format('%s <> %s', available, a) as detail
    from books where available <> a
  union all select 'I2 wallet.held = journal', user_id::text, format('%s <> %s', held, h) from books where held <> h
  union all select 'I3 wallet.held = open requests', b.user_id::text, format('%s <> %s', b.held, coalesce(o.cost, 0))
    from books b left join (select user_id, sum(cost) as cost from request where state not in ('delivered','released')
                            group by user_id) o using (user_id) where b.held <> coalesce(o.cost, 0)
  union all select 'I4 journal sums to zero', 'all', sum(amount)::text from entry having coalesce(sum(amount), 0) <> 0
  union all select 'I5 one live delivery', request_id::text, count(*)::text from delivery
    where state in ('sending','sent','unknown') group by request_id having count(*) > 1
  union all select 'I6 delivered <=> sent', r.id::text, r.state from request r
    where (r.state = 'delivered') <> exists (select 1 from delivery d where d.request_id = r.id and d.state = 'sent')
  union all select 'I7 stuck past deadline+15m', id::text, state from request
    where state in ('reserved','running','rendered','delivery_unknown')
      and greatest(deadline, lease_until) < clock_timestamp() - interval '15 minutes'
  union all select 'I8 outbox stuck', id::text, topic from outbox
    where done_at is null and not dead and greatest(available_at, created_at) < clock_timestamp() - interval '15 minutes'
  union all select 'I9 wallet.debt = journal', user_id::text, format('%s <> %s', debt, d) from books where debt <> d
  union all select 'I10 hold = state', r.id::text, format('%s: cost %s, opened %s, resolved %s, captured %s', r.state, r.cost,
                                                          h.opened, h.resolved, h.captured)
    from request r left join holds h on h.request_id = r.id and h.epoch = r.epoch
    where coalesce(h.opened, 0) <> r.cost or coalesce(h.captured, 0) <> r.charged
       or coalesce(h.resolved, 0) <> case when r.state in ('delivered','released') then r.cost else 0 end
  union all select 'I11 earlier hold given back', r.id::text, format('epoch %s: opened %s, resolved %s, captured %s', h.epoch,
                                                                     h.opened, h.resolved, h.captured)
    from request r join holds h on h.request_id = r.id and h.epoch <> r.epoch
    where h.epoch > r.epoch or h.opened is distinct from r.cost or h.resolved <> r.cost or h.captured <> 0;

-- ---------- who may do what -------------------------------------------------------------------------------------
grant usage on schema ledger to led_bot, led_pay, led_pipeline, led_ops, led_analyst;
grant select on wallet, request, delivery, outbox to led_bot, led_pipeline;
grant select on rule to led_bot, led_pipeline, led_pay;
grant select on rub_order to led_pay;
grant select on all tables in schema ledger to led_ops;
-- The analyst sees no Telegram id: a client key is made from one.
grant select on account, transfer, entry, request_event, delivery, second_life_log, rule, invariant_violation to led_analyst;
grant select (id, user_id, kind, cost, charged, state, epoch, fence, run_id, lease_until, deadline, created_at, updated_at)
  on request to led_analyst;

grant execute on function get_or_create_user(bigint), reserve(bigint, text, bigint, uuid, text, jsonb), welcome(bigint),
  balance(bigint), statement(bigint, int, bigint), cancel(bigint, uuid), user_resolve(uuid, boolean),
  rub_order_open(bigint, text, bigint, bigint) to led_bot;
grant execute on function claim(uuid, text, interval), heartbeat(uuid, bigint, interval), rendered(uuid, bigint),
  delivery_begin(uuid, bigint, bigint, uuid), delivery_end(bigint, text, bigint[], text, bigint), release(uuid, bigint, text),
  second_life(uuid, text, interval), open_holds(interval, int, uuid, uuid), prune(interval, int) to led_pipeline;
grant execute on function due(int, uuid), settle_due(uuid), outbox_claim(text[], int, interval), outbox_done(bigint),
  outbox_failed(bigint, text, interval, int) to led_bot, led_pipeline;
grant execute on function inbox_put(text, text, jsonb) to led_bot, led_pay;
grant execute on function topup(bigint, text, text, bigint, timestamptz, jsonb), chargeback(bigint, text, text, bigint, text),
  rub_order_settle(uuid, text, boolean, bigint, timestamptz), inbox_claim(int, interval), inbox_done(bigint),
  inbox_failed(bigint, text, interval, int) to led_pay;
grant execute on function promo(bigint, bigint, text, text, text) to led_pay, led_ops;
grant execute on function ops_release(uuid, text, text), ops_reopen(uuid, text, text, text), ops_resolve(uuid, boolean, text, text),
  ops_rule(text, bigint, text, text), ops_outbox(bigint, boolean, text, text), ops_erase(bigint, text, text) to led_ops;
reset role;
