-- Paying: what was ordered, what was paid, what was paid back, and credits that are gifts by a rule.
--
-- What stays true: an order is written before its invoice, and an invoice names the order and nothing else; credits are posted
-- by the provider's id of the payment, so one payment is credited once however often and in whatever order it is reported, and a
-- second real payment of one invoice gets its credits too; what is paid back is taken from the wallet before the provider is
-- asked, and only where the pack is unspent; a reversal never fails, what cannot be taken is debt; a payment that fits no order
-- is kept in pay.unmatched, never dropped; gifts (promo codes, referrals) have keys that make them happen once.
--
-- Only led_pay posts. The pipeline may compare what a provider says with the books and ask the bot to look (pay.stars_audit):
-- the process that reads strangers' pictures cannot mint credits.
--
-- Locks: wallet first, then rows of this schema; every call touches one user.
create schema pay authorization led_owner;
set local role led_owner;
set local search_path = pay, ledger, pg_temp;

insert into ledger.rule values
  ('star_order_minutes', 60, 'minutes an invoice for Stars may be paid after it was made'),
  ('referral_credits', 10, 'credits for bringing a friend, once the friend has paid for a carousel'),
  ('referrals_per_month', 20, 'such rewards for one person in 30 days'),
  ('promo_tries_per_day', 10, 'wrong promo codes one person may enter per UTC day');

-- ---------- tables ------------------------------------------------------------------------------
create table pay.consent (
  user_id bigint not null constraint consent_user_fk references ledger.app_user (id) on delete cascade,
  version int not null constraint consent_version_positive check (version > 0),
  agreed_at timestamptz not null default clock_timestamp(),
  constraint consent_pk primary key (user_id, version)
);
comment on table pay.consent is 'who agreed to which version of the terms; asked before the first purchase';

create table pay.star_order (
  id uuid constraint star_order_pk primary key default gen_random_uuid(),
  user_id bigint not null constraint star_order_user_fk references ledger.app_user (id) on delete restrict,
  pack text not null constraint star_order_pack_name check (pack ~ '^[a-z0-9_]{1,32}$'),
  credits bigint not null constraint star_order_credits_positive check (credits > 0),
  stars bigint not null constraint star_order_stars_range check (stars between 1 and 10000),
  monthly boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  paid_at timestamptz
);
comment on table pay.star_order is 'the payload of an invoice is the id of a row; what the pack was stands here, so a changed price list changes no invoice';
create index star_order_user on pay.star_order (user_id, created_at);

create table pay.purchase (
  source text not null constraint purchase_source check (source in ('stars', 'rub')),
  charge text not null constraint purchase_charge_length check (length(charge) between 1 and 200),
  user_id bigint not null constraint purchase_user_fk references ledger.app_user (id) on delete restrict,
  order_id uuid not null,
  pack text not null,
  credits bigint not null constraint purchase_credits_positive check (credits > 0),
  price bigint not null constraint purchase_price_positive check (price > 0),
  number bigint generated always as identity constraint purchase_number_once unique,
  found_by text not null constraint purchase_found_by check (found_by in ('notice', 'reconciliation')),
  paid_at timestamptz not null,
  credited_at timestamptz not null default clock_timestamp(),
  constraint purchase_pk primary key (source, charge)
);
comment on table pay.purchase is 'one row per payment of a provider; price in Stars or kopecks, paid_at by the provider''s clock';
create index purchase_user on pay.purchase (user_id, number);

create table pay.refund (
  source text not null,
  charge text not null,
  user_id bigint not null constraint refund_user_fk references ledger.app_user (id) on delete restrict,
  state text not null default 'pending' constraint refund_state check (state in ('pending', 'done')),
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  constraint refund_pk primary key (source, charge),
  constraint refund_purchase_fk foreign key (source, charge) references pay.purchase (source, charge) on delete restrict
);
comment on table pay.refund is 'packs returned by their buyers: the credits are gone already, the provider is asked until it agrees';
create index refund_user on pay.refund (user_id);
create index refund_pending on pay.refund (updated_at) where state = 'pending';

create table pay.unmatched (
  source text not null,
  charge text not null,
  direction text not null constraint unmatched_direction check (direction in ('in', 'out')),
  tg_user_id bigint,
  amount bigint not null,
  reason text not null,
  seen_at timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  constraint unmatched_pk primary key (source, charge, direction)
);
comment on table pay.unmatched is 'money that moved and fits no order of ours: for a human, unless a later report explains it';

create table pay.cursor (
  name text constraint cursor_pk primary key,
  position bigint not null constraint cursor_position_not_negative check (position >= 0),
  moved_at timestamptz not null default clock_timestamp()
);
comment on table pay.cursor is 'how far a provider''s list of transactions was read';

create table pay.subscription (
  charge text constraint subscription_pk primary key,
  user_id bigint not null constraint subscription_user_fk references ledger.app_user (id) on delete restrict,
  order_id uuid not null constraint subscription_order_once unique
    constraint subscription_order_fk references pay.star_order (id) on delete restrict,
  paid_until timestamptz not null,
  state text not null default 'active' constraint subscription_state check (state in ('active', 'canceled', 'failed')),
  updated_at timestamptz not null default clock_timestamp()
);
comment on table pay.subscription is 'monthly plans by their first charge, which is the name Telegram cancels them by';
create index subscription_user on pay.subscription (user_id);

create table pay.rub_attempt (
  order_id uuid constraint rub_attempt_pk primary key
    constraint rub_attempt_order_fk references ledger.rub_order (id) on delete restrict,
  idempotence_key text not null constraint rub_attempt_key_once unique,
  payment_id text constraint rub_attempt_payment_once unique,
  created_at timestamptz not null default clock_timestamp()
);
comment on table pay.rub_attempt is 'the key is stored before the provider is called, so a repeated call is the same payment';
create index rub_attempt_created on pay.rub_attempt (created_at);

create table pay.promo_code (
  code text constraint promo_code_pk primary key constraint promo_code_shape check (code ~ '^[A-Z0-9_-]{3,32}$'),
  credits bigint not null constraint promo_code_credits_range check (credits between 1 and 1000),
  uses bigint not null constraint promo_code_uses_positive check (uses > 0),
  used bigint not null default 0 constraint promo_code_used_range check (used between 0 and uses),
  expires_at timestamptz,
  created_at timestamptz not null default clock_timestamp()
);

create table pay.promo_use (
  code text not null constraint promo_use_code_fk references pay.promo_code (code) on delete restrict,
  user_id bigint not null constraint promo_use_user_fk references ledger.app_user (id) on delete restrict,
  used_at timestamptz not null default clock_timestamp(),
  constraint promo_use_pk primary key (code, user_id)
);
create index promo_use_user on pay.promo_use (user_id);

create table pay.promo_miss (
  user_id bigint not null constraint promo_miss_user_fk references ledger.app_user (id) on delete cascade,
  day date not null,
  tries int not null,
  constraint promo_miss_pk primary key (user_id, day)
);
comment on table pay.promo_miss is 'wrong codes per person and day, so that codes cannot be guessed';

create table pay.referral_code (
  user_id bigint constraint referral_code_pk primary key
    constraint referral_code_user_fk references ledger.app_user (id) on delete cascade,
  code text not null constraint referral_code_once unique
);

create table pay.referral (
  user_id bigint constraint referral_pk primary key
    constraint referral_user_fk references ledger.app_user (id) on delete restrict,
  referrer_id bigint not null constraint referral_referrer_fk references ledger.app_user (id) on delete restrict,
  created_at timestamptz not null default clock_timestamp(),
  rewarded_at timestamptz,
  constraint referral_not_oneself check (referrer_id <> user_id)
);
comment on table pay.referral is 'who brought whom, bound once; rewarded after the friend''s first carousel that was paid with money';
create index referral_referrer on pay.referral (referrer_id, rewarded_at);

create trigger t_touch before update on pay.refund for each row execute function ledger.touch();
create trigger t_touch before update on pay.subscription for each row execute function ledger.touch();
do $$ declare t text; begin
  foreach t in array array['star_order','purchase','refund','unmatched','promo_use','referral'] loop
    execute format('create trigger t_nodelete before delete on pay.%I for each row execute function ledger.immutable()', t);
    execute format('create trigger t_truncate before truncate on pay.%I for each statement execute function ledger.immutable()', t);
  end loop; end $$;

-- ---------- inside ---------------------------------------------------------------------------------
-- The wallet's lock, and whose it is.
create function pay._lock(p_tg bigint) returns bigint language plpgsql set search_path = pay, ledger, pg_temp as $f$
declare uid bigint := ledger.get_or_create_user(p_tg);
begin
  perform 1 from ledger.wallet where user_id = uid for no key update;
  return uid;
end $f$;

create function pay._puzzle(p_source text, p_charge text, p_direction text, p_tg bigint, p_amount bigint, p_reason text)
returns void language sql set search_path = pay, pg_temp as $f$
  insert into pay.unmatched (source, charge, direction, tg_user_id, amount, reason)
  values (p_source, p_charge, p_direction, p_tg, p_amount, p_reason) on conflict on constraint unmatched_pk do nothing $f$;

create function pay._solved(p_source text, p_charge text, p_direction text)
returns void language sql set search_path = pay, pg_temp as $f$
  update pay.unmatched set resolved_at = clock_timestamp()
   where source = p_source and charge = p_charge and direction = p_direction and resolved_at is null $f$;

create function pay._reversed(p_source text, p_charge text) returns boolean
language sql stable set search_path = pay, ledger, pg_temp as $f$
  select exists (select 1 from ledger.reversal where source = p_source and charge = p_charge) $f$;

-- ---------- before paying (the bot) -------------------------------------------------------------------
create function pay.agreed(p_tg bigint, p_version int) returns boolean
language sql stable security definer set search_path = pay, ledger, pg_temp as $f$
  select exists (select 1 from pay.consent c join ledger.app_user u on u.id = c.user_id
                  where u.tg_user_id = p_tg and c.version = p_version) $f$;

create function pay.agree(p_tg bigint, p_version int) returns void
language sql security definer set search_path = pay, ledger, pg_temp as $f$
  insert into pay.consent (user_id, version) values (ledger.get_or_create_user(p_tg), p_version)
  on conflict on constraint consent_pk do nothing $f$;

-- Null: the person has not agreed to these terms.
create function pay.star_order_open(p_tg bigint, p_terms int, p_pack text, p_credits bigint, p_stars bigint, p_monthly boolean)
returns uuid language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
declare new_id uuid;
begin
  if not pay.agreed(p_tg, p_terms) then return null; end if;
  insert into pay.star_order (user_id, pack, credits, stars, monthly, expires_at)
  values (ledger.get_or_create_user(p_tg), p_pack, p_credits, p_stars, p_monthly,
          clock_timestamp() + ledger.rule_value('star_order_minutes') * interval '1 minute')
  returning id into new_id;
  return new_id;
end $f$;

-- May this invoice be paid now: 'ok', 'unknown', 'used', 'expired', 'changed' (another sum), 'foreign' (made for somebody else),
-- 'banned'. Reads four rows by their keys: Telegram waits ten seconds for the answer and not one more.
create function pay.checkout(p_order uuid, p_tg bigint, p_stars bigint, out verdict text, out locale text)
language sql stable security definer set search_path = pay, ledger, bot, house, pg_temp as $f$
  select case when o.id is null then 'unknown' when u.tg_user_id is distinct from p_tg then 'foreign' when n.user_id is not null then 'banned'
              when o.paid_at is not null then 'used' when o.expires_at <= clock_timestamp() then 'expired'
              when o.stars is distinct from p_stars then 'changed' else 'ok' end, p.locale
    from (values (1)) as one (row)
    left join pay.star_order o on o.id = p_order
    left join ledger.app_user u on u.id = o.user_id
    left join bot.person p on p.user_id = u.id
    left join house.ban n on n.user_id = u.id $f$;

create function pay.rub_order_open(p_tg bigint, p_terms int, p_pack text, p_credits bigint, p_kopecks bigint,
                                   out order_id uuid, out idempotence_key text)
language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
begin
  if not pay.agreed(p_tg, p_terms) then return; end if;
  order_id := ledger.rub_order_open(p_tg, p_pack, p_credits, p_kopecks);
  idempotence_key := 'pay:' || order_id;
  insert into pay.rub_attempt (order_id, idempotence_key) values (order_id, idempotence_key);
end $f$;

create function pay.rub_order_named(p_order uuid, p_payment text) returns void
language sql security definer set search_path = pay, pg_temp as $f$
  update pay.rub_attempt set payment_id = p_payment where order_id = p_order and payment_id is null $f$;

-- ---------- money that came ---------------------------------------------------------------------------
-- 'credited', 'known' (reported before), 'unmatched' (no order of ours, or another sum).
create function pay.stars_paid(p_tg bigint, p_order uuid, p_charge text, p_stars bigint, p_paid_at timestamptz, p_found_by text,
                               p_until timestamptz default null, out verdict text, out credits bigint)
language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
declare uid bigint := pay._lock(p_tg); o pay.star_order;
begin
  select x.credits into credits from pay.purchase x where x.source = 'stars' and x.charge = p_charge;
  if found then
    verdict := 'known';
  else
    select * into o from pay.star_order where id = p_order;
    if not found or o.stars <> p_stars then
      perform pay._puzzle('stars', p_charge, 'in', p_tg, p_stars, case when o.id is null then 'no such order' else 'another sum' end);
      verdict := 'unmatched'; return;
    end if;
    perform ledger.topup(p_tg, 'stars', p_charge, o.credits, p_paid_at, jsonb_build_object('order', o.id, 'pack', o.pack, 'stars', p_stars));
    insert into pay.purchase (source, charge, user_id, order_id, pack, credits, price, found_by, paid_at)
    values ('stars', p_charge, uid, o.id, o.pack, o.credits, p_stars, p_found_by, p_paid_at);
    update pay.star_order set paid_at = clock_timestamp() where id = o.id and paid_at is null;
    perform pay._solved('stars', p_charge, 'in');
    perform ledger._tell('payment_credited', 'credited:stars:' || p_charge, jsonb_build_object('source', 'stars', 'charge', p_charge));
    verdict := 'credited'; credits := o.credits;
  end if;
  if p_until is not null then
    insert into pay.subscription as s (charge, user_id, order_id, paid_until) values (p_charge, uid, p_order, p_until)
    on conflict on constraint subscription_order_once do update
       set paid_until = greatest(s.paid_until, excluded.paid_until), state = case when s.state = 'failed' then 'active' else s.state end;
  end if;
end $f$;

-- Stars went back to a buyer: 'refunded' (we gave them back), 'charged_back' (the buyer's store or Telegram did), 'known',
-- 'unmatched' (a payment that is not in the books yet). Never fails on an empty wallet.
create function pay.stars_returned(p_tg bigint, p_charge text, p_stars bigint) returns text
language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
declare paid pay.purchase; owner bigint;
begin
  select * into paid from pay.purchase where source = 'stars' and charge = p_charge;
  select tg_user_id into owner from ledger.app_user where id = paid.user_id;
  if owner is null then
    perform pay._puzzle('stars', p_charge, 'out', p_tg, p_stars, case when paid.charge is null then 'no such payment' else 'erased user' end);
    return 'unmatched';
  end if;
  perform 1 from ledger.wallet where user_id = paid.user_id for no key update;
  perform pay._solved('stars', p_charge, 'out');
  update pay.refund set state = 'done' where source = 'stars' and charge = p_charge and state = 'pending';
  if found then
    perform ledger._tell('refund_done', 'refund_done:stars:' || p_charge, jsonb_build_object('source', 'stars', 'charge', p_charge));
    return 'refunded';
  end if;
  if pay._reversed('stars', p_charge) then return 'known'; end if;
  perform ledger.chargeback(owner, 'stars', p_charge, paid.credits, 'chargeback');
  perform ledger._tell('payment_reversed', 'reversed:stars:' || p_charge, jsonb_build_object('source', 'stars', 'charge', p_charge));
  return 'charged_back';
end $f$;

-- What the ruble provider's own books say about an order: 'credited', 'known', 'canceled', 'returned', 'unmatched'.
create function pay.rub_settle(p_order uuid, p_payment text, p_status text, p_kopecks bigint, p_returned bigint, p_paid_at timestamptz,
                               p_found_by text)
returns text language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
declare o ledger.rub_order; owner bigint; known boolean; named text;
begin
  select * into o from ledger.rub_order where id = p_order;
  select tg_user_id into owner from ledger.app_user where id = o.user_id;
  select payment_id into named from pay.rub_attempt where order_id = p_order;
  if owner is null or p_kopecks is distinct from o.kopecks or p_payment is distinct from coalesce(o.payment_id, named, p_payment) then
    if p_status = 'succeeded' then
      perform pay._puzzle('rub', p_payment, 'in', owner, coalesce(p_kopecks, 0),
                          case when o.id is null then 'no such order' when owner is null then 'erased user'
                               when p_kopecks is distinct from o.kopecks then 'another sum' else 'another payment of the order' end); end if;
    return 'unmatched';
  end if;
  perform 1 from ledger.wallet where user_id = o.user_id for no key update;
  known := exists (select 1 from pay.purchase where source = 'rub' and charge = p_payment);
  if p_status = 'canceled' then
    if known then return 'known'; end if;
    return ledger.rub_order_settle(p_order, p_payment, false, p_kopecks, p_paid_at);
  end if;
  if not known then
    perform ledger.rub_order_settle(p_order, p_payment, true, p_kopecks, p_paid_at);
    insert into pay.purchase (source, charge, user_id, order_id, pack, credits, price, found_by, paid_at)
    values ('rub', p_payment, o.user_id, o.id, o.pack, o.credits, p_kopecks, p_found_by, p_paid_at);
    perform pay._solved('rub', p_payment, 'in');
    perform ledger._tell('payment_credited', 'credited:rub:' || p_payment, jsonb_build_object('source', 'rub', 'charge', p_payment));
  end if;
  if p_returned = 0 then return case when known then 'known' else 'credited' end; end if;
  if p_returned < p_kopecks then
    perform pay._puzzle('rub', p_payment, 'out', owner, p_returned, 'returned in part'); return 'unmatched'; end if;
  if pay._reversed('rub', p_payment) then return 'known'; end if;
  perform ledger.chargeback(owner, 'rub', p_payment, o.credits, 'chargeback');
  perform pay._solved('rub', p_payment, 'out');
  perform ledger._tell('payment_reversed', 'reversed:rub:' || p_payment, jsonb_build_object('source', 'rub', 'charge', p_payment));
  return 'returned';
end $f$;

create function pay.subscription_changed(p_tg bigint, p_order uuid, p_state text) returns void
language sql security definer set search_path = pay, ledger, pg_temp as $f$
  update pay.subscription s set state = p_state from ledger.app_user u
   where s.order_id = p_order and u.id = s.user_id and u.tg_user_id = p_tg and s.state <> p_state $f$;

-- ---------- money that goes back ---------------------------------------------------------------------------
-- A buyer's packs, newest first, and whether each may be returned: gifts are spent before packs and packs in the order they were
-- bought, so a pack is unspent while what may be spent covers it and every pack bought after it.
create function pay.purchases(p_tg bigint, p_limit int default 10)
returns table (number bigint, source text, pack text, credits bigint, price bigint, paid_at timestamptz, state text)
language sql stable security definer set search_path = pay, ledger, pg_temp as $f$
  with mine as (
    select p.*, pay._reversed(p.source, p.charge) as gone, u.restricted, w.available
      from ledger.app_user u join ledger.wallet w on w.user_id = u.id join pay.purchase p on p.user_id = u.id
     where u.tg_user_id = p_tg),
  x as (
    select m.*, coalesce(sum(m.credits) filter (where not m.gone) over
                         (order by m.number rows between 1 following and unbounded following), 0) as later from mine m)
  select x.number, x.source, x.pack, x.credits, x.price, x.paid_at,
         case when r.state = 'pending' then 'returning' when r.state = 'done' then 'returned' when x.gone then 'reversed'
              when x.source = 'stars' and not x.restricted and x.available >= x.credits + x.later then 'unspent' else 'spent' end
    from x left join pay.refund r on r.source = x.source and r.charge = x.charge
   order by x.number desc limit least(greatest(p_limit, 1), 50) $f$;

-- Takes the credits and promises the Stars, or says why not: 'begun', 'already', 'spent', 'gone' (not this person's).
create function pay.refund_begin(p_tg bigint, p_number bigint) returns text
language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
declare uid bigint := pay._lock(p_tg); paid pay.purchase; later bigint; free bigint;
begin
  select * into paid from pay.purchase where number = p_number and source = 'stars' and user_id = uid;
  if not found then return 'gone'; end if;
  if exists (select 1 from pay.refund where source = 'stars' and charge = paid.charge) then return 'already'; end if;
  if pay._reversed('stars', paid.charge) then return 'gone'; end if;
  select available into free from ledger.wallet w join ledger.app_user u on u.id = w.user_id where w.user_id = uid and not u.restricted;
  select coalesce(sum(credits), 0) into later from pay.purchase p
   where p.user_id = uid and p.number > paid.number and not pay._reversed(p.source, p.charge);
  if free is null or free < paid.credits + later then return 'spent'; end if;
  perform ledger.chargeback(p_tg, 'stars', paid.charge, paid.credits, 'buyer_refund');
  insert into pay.refund (source, charge, user_id) values ('stars', paid.charge, uid);
  perform ledger._tell('refund_stars', 'refund_stars:' || paid.charge, jsonb_build_object('source', 'stars', 'charge', paid.charge));
  return 'begun';
end $f$;

-- A refund that the provider did not take for an hour is asked for again: its earlier message may be a dead letter.
create function pay.refunds_again() returns bigint
language sql security definer set search_path = pay, ledger, pg_temp as $f$
  with late as (
    update pay.refund r set state = 'pending' where r.state = 'pending' and r.updated_at < clock_timestamp() - interval '1 hour'
    returning r.source, r.charge, r.updated_at),
  told as (
    select ledger._tell('refund_stars', 'refund_stars:' || charge || ':' || extract(epoch from updated_at),
                        jsonb_build_object('source', source, 'charge', charge)) from late)
  select count(*) from told $f$;

-- ---------- reading a provider's list ------------------------------------------------------------------------
create function pay.cursor_at(p_name text) returns bigint
language sql stable security definer set search_path = pay, pg_temp as $f$
  select coalesce(max(position), 0)::bigint from pay.cursor where name = p_name $f$;

create function pay.cursor_to(p_name text, p_position bigint) returns void
language sql security definer set search_path = pay, pg_temp as $f$
  insert into pay.cursor as c (name, position) values (p_name, p_position)
  on conflict on constraint cursor_pk do update set position = greatest(c.position, excluded.position), moved_at = clock_timestamp() $f$;

-- Which of the transactions that a provider lists are not in the books, in the order given. With a missing one the bot is asked
-- to look for itself: it believes the provider, not us. Planned once a connection: planning took as long as all the rest.
create function pay.stars_audit(p_seen jsonb) returns setof int
language plpgsql security definer set search_path = pay, ledger, pg_temp set plan_cache_mode = force_generic_plan as $f$
declare missing int[];
begin
  select coalesce(array_agg(t.n::int order by t.n), '{}') into missing
    from jsonb_array_elements(p_seen) with ordinality as t (row, n)
   where not exists (select 1 from pay.unmatched q where q.source = 'stars' and q.charge = t.row ->> 'charge'
                                                     and q.direction = t.row ->> 'direction')
     and not case t.row ->> 'direction'
       -- A scalar and not exists(), which is answered by reading all purchases.
       when 'in' then (select true from pay.purchase p where p.source = 'stars' and p.charge = t.row ->> 'charge') is true
       else pay._reversed('stars', t.row ->> 'charge') end;
  if cardinality(missing) > 0 then
    perform ledger._tell('reconcile', 'reconcile:' || to_char(clock_timestamp() at time zone 'UTC', 'YYYYMMDDHH24MI'), '{}'); end if;
  return query select unnest(missing);
end $f$;

-- What an operator wants to see at one look.
create function pay.health(out unmatched bigint, out refunds_waiting bigint, out letters_dead bigint)
language sql stable security definer set search_path = pay, ledger, pg_temp as $f$
  select (select count(*) from pay.unmatched where resolved_at is null),
         (select count(*) from pay.refund where state = 'pending' and created_at < clock_timestamp() - interval '1 hour'),
         (select count(*) from ledger.inbox where dead and processed_at is null) $f$;

-- Since when there are orders that may still be paid, for the ruble provider's reconciliation; null: there are none. An hour earlier
-- than our clock says, for the provider's clock dates its payments.
create function pay.rub_open_since() returns timestamptz
language sql stable security definer set search_path = pay, ledger, pg_temp as $f$
  select min(a.created_at) - interval '1 hour' from pay.rub_attempt a join ledger.rub_order o on o.id = a.order_id
   where a.created_at > clock_timestamp() - interval '7 days' and o.state = 'open' $f$;

-- What to tell a buyer about one payment.
create function pay.receipt(p_source text, p_charge text, out tg_user_id bigint, out user_id bigint, out locale text, out credits bigint,
                            out price bigint, out available bigint, out debt bigint, out refund text)
language sql stable security definer set search_path = pay, ledger, bot, pg_temp as $f$
  select u.tg_user_id, u.id, b.locale, p.credits, p.price, w.available, w.debt, r.state
    from pay.purchase p join ledger.app_user u on u.id = p.user_id join ledger.wallet w on w.user_id = p.user_id
    left join bot.person b on b.user_id = p.user_id
    left join pay.refund r on r.source = p.source and r.charge = p.charge
   where p.source = p_source and p.charge = p_charge $f$;

create function pay.subscriptions(p_tg bigint)
returns table (order_id uuid, charge text, credits bigint, stars bigint, paid_until timestamptz, state text)
language sql stable security definer set search_path = pay, ledger, pg_temp as $f$
  select s.order_id, s.charge, o.credits, o.stars, s.paid_until, s.state
    from pay.subscription s join pay.star_order o on o.id = s.order_id join ledger.app_user u on u.id = s.user_id
   where u.tg_user_id = p_tg and s.paid_until > clock_timestamp() order by s.paid_until desc, s.charge limit 5 $f$;

-- ---------- gifts -------------------------------------------------------------------------------------------
-- 'credited', 'used' (by this person before), 'over' (expired, or all uses gone), 'unknown', 'wait' (too many wrong ones today).
create function pay.promo_redeem(p_tg bigint, p_code text, out verdict text, out credits bigint)
language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
declare uid bigint := pay._lock(p_tg); c pay.promo_code; today date := (clock_timestamp() at time zone 'UTC')::date;
begin
  if (select tries from pay.promo_miss where user_id = uid and day = today) >= ledger.rule_value('promo_tries_per_day') then
    verdict := 'wait'; return; end if;
  select * into c from pay.promo_code where code = upper(btrim(p_code)) for no key update;
  if not found then
    insert into pay.promo_miss as m (user_id, day, tries) values (uid, today, 1)
    on conflict on constraint promo_miss_pk do update set tries = m.tries + 1;
    verdict := 'unknown'; return;
  end if;
  if exists (select 1 from pay.promo_use where code = c.code and user_id = uid) then verdict := 'used'; return; end if;
  if c.used >= c.uses or c.expires_at <= clock_timestamp() then verdict := 'over'; return; end if;
  insert into pay.promo_use (code, user_id) values (c.code, uid);
  update pay.promo_code set used = used + 1 where code = c.code;
  perform ledger._post('promo_code:' || c.code || ':' || uid, 'promo_code', 'promo', 'user_available', uid, c.credits, null, null, now(),
                       jsonb_build_object('code', c.code));
  perform ledger._recover_debt(uid, 'promo_code:' || c.code || ':' || uid);
  verdict := 'credited'; credits := c.credits;
end $f$;

create function pay.ops_promo_code(p_code text, p_credits bigint, p_uses bigint, p_expires timestamptz, p_actor text, p_reason text)
returns boolean language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
begin                                    -- false: there is such a code
  insert into pay.promo_code (code, credits, uses, expires_at) values (upper(btrim(p_code)), p_credits, p_uses, p_expires)
  on conflict on constraint promo_code_pk do nothing;
  if not found then return false; end if;
  perform ledger._decided('promo_code', p_actor, p_reason, 5, null, null,
                          jsonb_build_object('code', upper(btrim(p_code)), 'credits', p_credits, 'uses', p_uses));
  return true;
end $f$;

-- A payment that fits no order was dealt with by a human (a grant, or Stars returned by hand).
create function pay.ops_matched(p_source text, p_charge text, p_direction text, p_actor text, p_reason text) returns boolean
language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
begin
  perform ledger._decided('payment_matched', p_actor, p_reason, 5, null, null,
                          jsonb_build_object('source', p_source, 'charge', p_charge, 'direction', p_direction));
  perform pay._solved(p_source, p_charge, p_direction);
  return exists (select 1 from pay.unmatched where source = p_source and charge = p_charge and direction = p_direction);
end $f$;

create function pay.referral_code_of(p_tg bigint, out code text, out friends bigint, out rewarded bigint, out reward bigint)
language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
declare uid bigint := ledger.get_or_create_user(p_tg);
begin
  insert into pay.referral_code (user_id, code) values (uid, left(replace(gen_random_uuid()::text, '-', ''), 12))
  on conflict on constraint referral_code_pk do nothing;
  select r.code into referral_code_of.code from pay.referral_code r where r.user_id = uid;
  select count(*), count(rewarded_at) into friends, rewarded from pay.referral r where r.referrer_id = uid;
  reward := ledger.rule_value('referral_credits');
end $f$;

-- Somebody new came by a friend's link; false: not new, one's own link, no such link, or bound before.
create function bot.referred(p_tg bigint, p_code text) returns boolean
language plpgsql security definer set search_path = pay, ledger, pg_temp as $f$
declare uid bigint := ledger.get_or_create_user(p_tg);
begin
  insert into pay.referral (user_id, referrer_id)
  select uid, c.user_id from pay.referral_code c join ledger.app_user u on u.id = uid
   where c.code = p_code and c.user_id <> uid and u.created_at > clock_timestamp() - interval '1 day'
     and not exists (select 1 from ledger.request r where r.user_id = uid)
  on conflict on constraint referral_pk do nothing;
  return found;
end $f$;

-- The reward is posted by a call of its own: a charge touches the friend's wallet and may not touch another.
create function pay.referral_due() returns trigger language plpgsql set search_path = pay, ledger, pg_temp as $f$
begin
  if exists (select 1 from pay.referral r where r.user_id = new.user_id and r.rewarded_at is null)
     and exists (select 1 from pay.purchase p where p.user_id = new.user_id and not pay._reversed(p.source, p.charge)) then
    perform ledger._tell('referral', 'referral:' || new.user_id, jsonb_build_object('user_id', new.user_id));
  end if;
  return null;
end $f$;
-- Only what is delivered is charged, and its state is final.
create trigger t_referral after update of state on ledger.request
  for each row when (new.charged > 0) execute function pay.referral_due();

-- 'rewarded', 'known', 'capped' (this month's rewards are used up), 'gone' (nobody to reward).
create function pay.referral_reward(p_user bigint, out verdict text, out tg_user_id bigint, out user_id bigint, out locale text,
                                    out credits bigint, out available bigint)
language plpgsql security definer set search_path = pay, ledger, bot, pg_temp as $f$
declare r pay.referral; gift bigint := ledger.rule_value('referral_credits');
begin
  select * into r from pay.referral x where x.user_id = p_user;
  if not found then verdict := 'gone'; return; end if;
  perform 1 from ledger.wallet w where w.user_id = r.referrer_id for no key update;
  select * into r from pay.referral x where x.user_id = p_user for no key update;
  if r.rewarded_at is not null then verdict := 'known'; return; end if;
  if gift = 0 or (select count(*) from pay.referral x where x.referrer_id = r.referrer_id
        and x.rewarded_at > clock_timestamp() - interval '30 days') >= ledger.rule_value('referrals_per_month') then
    verdict := 'capped'; return; end if;
  select u.tg_user_id, u.id, b.locale into referral_reward.tg_user_id, referral_reward.user_id, referral_reward.locale
    from ledger.app_user u left join bot.person b on b.user_id = u.id where u.id = r.referrer_id;
  if referral_reward.tg_user_id is null then verdict := 'gone'; return; end if;
  perform ledger._post('referral:' || p_user, 'referral', 'promo', 'user_available', r.referrer_id, gift);
  perform ledger._recover_debt(r.referrer_id, 'referral:' || p_user);
  update pay.referral x set rewarded_at = clock_timestamp() where x.user_id = p_user;
  select w.available into available from ledger.wallet w where w.user_id = r.referrer_id;
  verdict := 'rewarded'; credits := gift;
end $f$;

-- ---------- who may do what ----------------------------------------------------------------------------------
revoke all on all tables in schema pay from public;
grant usage on schema pay to led_bot, led_pay, led_pipeline, led_ops;
grant select on all tables in schema pay to led_ops;
grant execute on function bot.referred(bigint, text) to led_bot;
grant execute on function pay.agreed(bigint, int), pay.agree(bigint, int),
  pay.star_order_open(bigint, int, text, bigint, bigint, boolean), pay.checkout(uuid, bigint, bigint),
  pay.rub_order_open(bigint, int, text, bigint, bigint), pay.rub_order_named(uuid, text),
  pay.stars_paid(bigint, uuid, text, bigint, timestamptz, text, timestamptz), pay.stars_returned(bigint, text, bigint),
  pay.rub_settle(uuid, text, text, bigint, bigint, timestamptz, text), pay.subscription_changed(bigint, uuid, text),
  pay.purchases(bigint, int), pay.refund_begin(bigint, bigint), pay.refunds_again(), pay.cursor_at(text), pay.cursor_to(text, bigint),
  pay.rub_open_since(), pay.receipt(text, text), pay.subscriptions(bigint), pay.promo_redeem(bigint, text),
  pay.referral_code_of(bigint), pay.referral_reward(bigint), pay.health() to led_pay;
grant execute on function pay.cursor_at(text), pay.cursor_to(text, bigint), pay.stars_audit(jsonb), pay.health() to led_pipeline;
grant execute on function pay.ops_promo_code(text, bigint, bigint, timestamptz, text, text),
  pay.ops_matched(text, text, text, text, text), pay.health() to led_ops;
reset role;
