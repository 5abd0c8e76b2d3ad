-- The ledger: money, the requests it is held for, and the messages that must not be lost.
--
-- What stays true, whatever the callers do:
-- * one row of ledger.transfer moves one amount between two accounts, so the books balance by construction; nothing but its
--   trigger changes a wallet, and a wallet never goes below zero;
-- * a hold opens once per (request, epoch) and is resolved once: what arrived is captured, the rest is released, together;
-- * at COMMIT a request's state and its transfers agree (deferred triggers), so nothing can "forget" to charge or to refund;
-- * an album is intended (ledger.delivery) before it is sent, and nothing in doubt is sent again or refunded by itself;
-- * every state has an owner who times it out: ledger.due() lists what is overdue, ledger.settle_due() settles it;
-- * roles have EXECUTE on functions and SELECT where they need it, nothing else: the process that parses pictures cannot mint.
--
-- Locks are taken in one order (wallet, request, delivery) and every call touches one user, so calls cannot deadlock.
-- Leases and deadlines compare with this server's clock only.
--
-- Errors: LD001 append-only, LD002 no wallet, LD003 wallet touched directly, LD004 illegal transition or immutable field,
-- LD005 state and journal disagree, LD006 key used again with another payload, LD007 insufficient credits, LD008 user restricted,
-- LD009 no such request, LD010 actor, reason or funding missing, LD011 argument out of range, LD012 no such payment.

-- Roles belong to the whole server: another database of it may be migrating at this moment. Whoever came second by an instant
-- (unique_violation) has remembered that there was no such role, and would not find it below: only another try looks again.
do $$ declare r text; begin
  foreach r in array array['led_owner','led_bot','led_pay','led_pipeline','led_ops','led_analyst','led_house'] loop
    loop
      begin
        execute format('create role %I nologin', r);
        exit;
      exception
        when duplicate_object then exit;
        when unique_violation then null;
      end;
    end loop;
    begin
      execute format('set local role %I', r); reset role;
    exception when insufficient_privilege then execute format('grant %I to %I', r, current_user); end;
  end loop; end $$;

create schema ledger authorization led_owner;
set local role led_owner;
set local search_path = ledger, pg_temp;
-- Without IN SCHEMA, for only so does it take away what PUBLIC gets by default; it holds for every later migration too.
alter default privileges for role led_owner revoke execute on functions from public;

-- ---------- figures an operator may tune ---------------------------------------------------
create table rule (
  name text constraint rule_pk primary key,
  value bigint not null constraint rule_value_range check (value >= 0),
  note text not null
);
insert into rule values
  ('welcome_credits', 10, 'credits a new account gets once'),
  ('deadline_minutes', 30, 'minutes an attempt may go without a live lease before the hold is released'),
  ('silence_hours', 72, 'hours in doubt without a word from the user before the album counts as delivered'),
  ('second_lives_per_day', 50, 'refunded requests that runs may remake on the house, per UTC day'),
  ('second_life_credits_per_day', 300, 'credits that such second lives may cost, per UTC day');

create function rule_value(p_name text) returns bigint language sql stable as $f$
  select value from ledger.rule where name = p_name $f$;

-- ---------- accounts, users, wallets -------------------------------------------------------
create table account (
  code text constraint account_pk primary key,
  per_user boolean not null,
  note text not null
);
insert into account values
  ('user_available', true , 'liability: credits the user may spend'),
  ('user_held'     , true , 'liability: credits reserved for an open request'),
  ('sales_stars'   , false, 'credits sold for Telegram Stars (contra of cash)'),
  ('sales_rub'     , false, 'credits sold for rubles'),
  ('promo'         , false, 'gifted credits'),
  ('goodwill'      , false, 'reruns on the house'),
  ('revenue'       , false, 'credits consumed by delivered carousels'),
  ('bad_debt'      , true , 'charge-backs of credits already spent, until recovered');

create table app_user (
  id bigint generated always as identity constraint app_user_pk primary key,
  tg_user_id bigint constraint app_user_tg_once unique,
  restricted boolean not null default false,
  erased_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint app_user_erased_is_anonymous check ((tg_user_id is null) = (erased_at is not null))
);

create table wallet (                -- the only mutable money row, and the lock of every money operation of its user
  user_id bigint constraint wallet_pk primary key constraint wallet_user_fk references app_user (id) on delete restrict,
  available bigint not null default 0 constraint wallet_available_not_negative check (available >= 0),
  held bigint not null default 0 constraint wallet_held_not_negative check (held >= 0),
  debt bigint not null default 0 constraint wallet_debt_not_negative check (debt >= 0),
  version bigint not null default 0,
  updated_at timestamptz not null default now()
) with (fillfactor = 70);            -- room for HOT updates; no mutable column is indexed

-- ---------- requests -----------------------------------------------------------------------
create table request (
  id uuid constraint request_pk primary key default gen_random_uuid(),   -- the Dagster partition key
  user_id bigint not null constraint request_user_fk references app_user (id) on delete restrict,
  client_key text not null constraint request_client_key_length check (length(client_key) between 1 and 200),
  kind text not null default 'carousel' constraint request_kind_name check (kind ~ '^[a-z][a-z_]{1,31}$'),
  cost bigint not null constraint request_cost_range check (cost between 0 and 1000000),
  charged bigint not null default 0 constraint request_charged_range check (charged between 0 and cost),
  state text not null default 'reserved' constraint request_state check
    (state in ('reserved','running','rendered','delivered','delivery_unknown','released')),
  epoch int not null default 1 constraint request_epoch_positive check (epoch >= 1),   -- +1 for each new hold
  fence bigint not null default 0,                                                     -- token of the current attempt
  run_id text constraint request_run_id_length check (length(run_id) between 1 and 200),
  lease_until timestamptz,
  deadline timestamptz not null default now() + interval '30 minutes',
  meta jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint request_client_key_once unique (user_id, client_key)
);
create index request_open on request (deadline, id) where state in ('reserved','running','rendered','delivery_unknown');

create table request_edge (
  src text, dst text,
  constraint request_edge_pk primary key (src, dst)
);
insert into request_edge values
  ('reserved','running'),('reserved','released'),
  ('running','running'),('running','rendered'),('running','released'),
  ('running','delivered'),('running','delivery_unknown'),  -- an earlier attempt's album is settled while a new one works
  ('rendered','running'),('rendered','delivered'),('rendered','delivery_unknown'),('rendered','released'),
  ('delivery_unknown','delivered'),('delivery_unknown','released'),('delivery_unknown','rendered'),
  ('released','reserved');                                 -- a new epoch: ops_reopen(), second_life()

create table request_event (
  id bigint generated always as identity constraint request_event_pk primary key,
  request_id uuid not null constraint request_event_request_fk references request (id) on delete restrict,
  src text, dst text not null, fence bigint,
  db_user text not null default session_user,
  note text,
  created_at timestamptz not null default clock_timestamp()
);
create index request_event_request on request_event (request_id, id);

-- ---------- the journal --------------------------------------------------------------------
-- Every INSERT parses its table's checks anew and prepares each of their terms, which costs more than the row: what a transfer must
-- be stands in one function, in few terms. Foreign keys to account would lock its eight rows in every transfer.
-- The list: kind, debited and credited account, whether it is of a hold (request and epoch, both or none), whether it is a remainder.
create function legal(p_key text, p_kind text, p_debit text, p_credit text, p_amount bigint, p_request uuid, p_epoch int,
                      p_remainder boolean) returns boolean language plpgsql immutable as $f$
begin return p_amount > 0 and length(p_key) between 3 and 300
  and concat_ws(' ', p_kind, p_debit, p_credit, num_nonnulls(p_request, p_epoch), p_remainder) in (
    'topup sales_stars user_available 0 f', 'topup sales_rub user_available 0 f',
    'promo promo user_available 0 f', 'promo_code promo user_available 0 f', 'referral promo user_available 0 f',
    'reserve user_available user_held 2 f',
    'reopen goodwill user_held 2 f', 'second_life goodwill user_held 2 f',
    'capture user_held revenue 2 f',
    'release user_held user_available 2 f', 'release user_held goodwill 2 f',
    'release user_held user_available 2 t', 'release user_held goodwill 2 t',
    'buyer_refund user_available sales_stars 0 f', 'buyer_refund user_available sales_rub 0 f',
    'chargeback user_available sales_stars 0 f', 'chargeback user_available sales_rub 0 f',
    'bad_debt bad_debt sales_stars 0 f', 'bad_debt bad_debt sales_rub 0 f',
    'recovery user_available bad_debt 0 f'); end $f$;

create table transfer (
  id bigint generated always as identity constraint transfer_pk primary key,
  idem_key text not null constraint transfer_idem_key_once unique,
  kind text not null,
  debit_code text not null,
  credit_code text not null,
  user_id bigint not null constraint transfer_user_fk references app_user (id) on delete restrict,
  request_id uuid constraint transfer_request_fk references request (id) on delete restrict,
  epoch int,
  amount bigint not null,
  remainder boolean not null default false,              -- the release of what a partial capture left
  event_at timestamptz not null default now(),           -- the provider's time, for reconciliation
  meta jsonb not null default '{}',
  db_user text not null default session_user,
  created_at timestamptz not null default clock_timestamp(),
  constraint transfer_legal check (legal(idem_key, kind, debit_code, credit_code, amount, request_id, epoch, remainder))
);
create unique index transfer_hold_opens_once on transfer (request_id, epoch) where kind in ('reserve','reopen','second_life');
create unique index transfer_hold_resolves_once on transfer (request_id, epoch)
  where kind in ('capture','release') and not remainder;
create unique index transfer_hold_remainder_once on transfer (request_id, epoch) where remainder;
create index transfer_user on transfer (user_id, id);
create index transfer_created on transfer (created_at);

-- What concerns a request, in the words of the three indexes that keep a hold whole: so they find it, and a fourth is not needed.
create view transfer_of_hold as
  select * from transfer
   where kind in ('reserve','reopen','second_life') or kind in ('capture','release') and not remainder or remainder;

create view entry as                 -- the same journal with two rows a transfer: debits negative, credits positive
  select id as transfer_id, debit_code as code, user_id, -amount as amount, created_at from transfer
  union all
  select id, credit_code, user_id, amount, created_at from transfer;

create table reversal (              -- a payment is taken back once, whatever the provider calls it and however often it says so
  source text not null, charge text not null,
  kind text not null constraint reversal_kind check (kind in ('chargeback','buyer_refund')),
  user_id bigint not null constraint reversal_user_fk references app_user (id) on delete restrict,
  credits bigint not null constraint reversal_credits_positive check (credits > 0),
  created_at timestamptz not null default clock_timestamp(),
  constraint reversal_once primary key (source, charge)
);

create table second_life_log (       -- what runs remade on the house; the daily cap counts these rows
  request_id uuid not null constraint second_life_request_fk references request (id) on delete restrict,
  epoch int not null,
  run_id text not null,
  credits bigint not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint second_life_epoch_once primary key (request_id, epoch),
  constraint second_life_run_once unique (request_id, run_id)
);
create index second_life_created on second_life_log (created_at);

create table rub_order (             -- a ruble payment that was asked for; credits come only from a settled one
  id uuid constraint rub_order_pk primary key default gen_random_uuid(),
  user_id bigint not null constraint rub_order_user_fk references app_user (id) on delete restrict,
  pack text not null,
  credits bigint not null constraint rub_order_credits_positive check (credits > 0),
  kopecks bigint not null constraint rub_order_kopecks_positive check (kopecks > 0),
  state text not null default 'open' constraint rub_order_state check (state in ('open','paid','canceled')),
  payment_id text constraint rub_order_payment_once unique,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  constraint rub_order_paid_has_payment check (state <> 'paid' or payment_id is not null)
);
create index rub_order_user on rub_order (user_id, created_at);

-- ---------- inbox, outbox, deliveries, operators' decisions ---------------------------------
create table inbox (                 -- every external event that matters to money, before anything is done about it
  id bigint generated always as identity constraint inbox_pk primary key,
  source text not null constraint inbox_source check (source in ('tg_update','yk_webhook','tg_recon','yk_recon')),
  dedupe_key text not null constraint inbox_dedupe_once unique,
  body jsonb not null,
  received_at timestamptz not null default clock_timestamp(),
  available_at timestamptz not null default now(),
  attempts int not null default 0,
  processed_at timestamptz,
  dead boolean not null default false,
  last_error text
);
create index inbox_waiting on inbox (available_at, id) where processed_at is null and not dead;
create index inbox_processed on inbox (processed_at, id) where processed_at is not null;

create table outbox (
  id bigint generated always as identity constraint outbox_pk primary key,
  topic text not null,
  dedupe_key text not null constraint outbox_dedupe_once unique,
  payload jsonb not null,
  available_at timestamptz not null default now(),
  attempts int not null default 0,
  done_at timestamptz,
  dead boolean not null default false,
  last_error text,
  created_at timestamptz not null default now()
);
create index outbox_waiting on outbox (available_at, id) where done_at is null and not dead;
create index outbox_done on outbox (done_at, id) where done_at is not null;

create table delivery (              -- the intent is committed before the HTTP call
  id bigint generated always as identity constraint delivery_pk primary key,
  request_id uuid not null constraint delivery_request_fk references request (id) on delete restrict,
  epoch int not null,
  fence bigint not null,
  state text not null default 'sending' constraint delivery_state check
    (state in ('sending','sent','rejected','unknown','superseded','late')),
  charge bigint constraint delivery_charge_not_negative check (charge >= 0),   -- null: the whole cost
  message_ids bigint[],
  intent uuid,                                        -- the sender's own word for this one attempt; null: it has none
  error text,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  constraint delivery_arrived_has_ids check ((state in ('sent','late')) = (message_ids is not null))
);
comment on column delivery.state is 'late: arrived after the request had gone on without it; it is never live again';
create unique index delivery_one_live on delivery (request_id) where state in ('sending','sent','unknown');
create index delivery_request on delivery (request_id, id);

create table ops_action (            -- who decided what, and why
  id bigint generated always as identity constraint ops_action_pk primary key,
  action text not null,
  actor text not null constraint ops_action_actor_length check (length(btrim(actor)) between 2 and 200),
  reason text not null constraint ops_action_reason_length check (length(btrim(reason)) between 1 and 2000),
  user_id bigint constraint ops_action_user_fk references app_user (id) on delete restrict,
  request_id uuid constraint ops_action_request_fk references request (id) on delete restrict,
  detail jsonb not null default '{}',
  db_user text not null default session_user,
  created_at timestamptz not null default clock_timestamp()
);
create index ops_action_request on ops_action (request_id, id) where request_id is not null;
create index ops_action_user on ops_action (user_id, id) where user_id is not null;

-- ---------- triggers: what no caller can get around ------------------------------------------
create function touch() returns trigger language plpgsql set search_path = ledger, pg_temp as $f$
begin new.updated_at := clock_timestamp(); return new; end $f$;
create trigger t_touch before update on app_user for each row execute function touch();
create trigger t_touch before update on request for each row execute function touch();
create trigger t_touch before update on delivery for each row execute function touch();
create trigger t_touch before update on rub_order for each row execute function touch();

create function immutable() returns trigger language plpgsql set search_path = ledger, pg_temp as $f$
begin raise exception 'table % is append-only', tg_table_name using errcode = 'LD001'; end $f$;
do $$ declare t text; begin
  foreach t in array array['transfer','request_event','reversal','second_life_log','ops_action'] loop
    execute format('create trigger t_immutable before update or delete on %I for each row execute function immutable()', t);
  end loop;
  foreach t in array array['wallet','request','delivery','rub_order','app_user'] loop
    execute format('create trigger t_nodelete before delete on %I for each row execute function immutable()', t);
  end loop;
  foreach t in array array['transfer','request_event','reversal','second_life_log','ops_action','wallet','request','delivery',
                           'rub_order','app_user'] loop
    execute format('create trigger t_truncate before truncate on %I for each statement execute function immutable()', t);
  end loop; end $$;

create function apply_transfer() returns trigger language plpgsql set search_path = ledger, pg_temp as $f$
begin
  update wallet set
    available = available + case when new.credit_code = 'user_available' then new.amount
                                 when new.debit_code = 'user_available' then -new.amount else 0 end,
    held = held + case when new.credit_code = 'user_held' then new.amount
                       when new.debit_code = 'user_held' then -new.amount else 0 end,
    debt = debt + case when new.debit_code = 'bad_debt' then new.amount
                       when new.credit_code = 'bad_debt' then -new.amount else 0 end,
    version = version + 1, updated_at = clock_timestamp()
   where user_id = new.user_id;
  if not found then raise exception 'no wallet for user %', new.user_id using errcode = 'LD002'; end if;
  return null;
end $f$;
create trigger t_apply after insert on transfer for each row execute function apply_transfer();

-- pg_trigger_depth() is 0 in the condition of a trigger that a plain statement fires, so apply_transfer() alone passes.
create function wallet_guard() returns trigger language plpgsql set search_path = ledger, pg_temp as $f$
begin
  if tg_op = 'INSERT' then raise exception 'wallet must start empty' using errcode = 'LD003'; end if;
  raise exception 'wallet changes only through transfers' using errcode = 'LD003';
end $f$;
create trigger t_starts_empty before insert on wallet for each row
  when ((new.available, new.held, new.debt, new.version) is distinct from (0, 0, 0, 0)) execute function wallet_guard();
create trigger t_guard before update on wallet for each row
  when (pg_trigger_depth() = 0) execute function wallet_guard();

create function request_guard() returns trigger language plpgsql set search_path = ledger, pg_temp as $f$
begin
  if new.state <> old.state or new.fence <> old.fence then
    if not exists (select 1 from request_edge where src = old.state and dst = new.state) then
      raise exception 'illegal transition % -> %', old.state, new.state using errcode = 'LD004'; end if;
    insert into request_event (request_id, src, dst, fence, note)
    values (new.id, old.state, new.state, new.fence, nullif(current_setting('ledger.note', true), ''));
  end if;
  if new.fence < old.fence or new.epoch < old.epoch or (new.epoch > old.epoch and new.state <> 'reserved')
     or (new.id, new.cost, new.user_id, new.kind, new.created_at) is distinct from
        (old.id, old.cost, old.user_id, old.kind, old.created_at)
     or (new.client_key <> old.client_key and new.client_key <> 'erased:' || old.id)
     or (new.charged <> old.charged and (old.state = 'delivered' or new.state <> 'delivered')) then
    raise exception 'immutable request field' using errcode = 'LD004'; end if;
  return new;
end $f$;
create trigger t_guard before update on request for each row execute function request_guard();

create function delivery_guard() returns trigger language plpgsql set search_path = ledger, pg_temp as $f$
begin
  if (new.state <> old.state and (old.state in ('sent','superseded','rejected') and new.state not in ('sent','late')
                                  or old.state = 'sent' or old.state = 'late' and new.state <> 'sent' or new.state = 'sending'))
     or (new.id, new.request_id, new.epoch, new.fence, new.intent, new.created_at) is distinct from
        (old.id, old.request_id, old.epoch, old.fence, old.intent, old.created_at) then
    raise exception 'illegal delivery transition % -> %', old.state, new.state using errcode = 'LD004'; end if;
  return new;
end $f$;
create trigger t_guard before update on delivery for each row execute function delivery_guard();

-- At COMMIT: open means held in full, released means given back in full, delivered means charged and the rest given back; and
-- of an earlier epoch everything was given back.
create function request_journal_agree() returns trigger language plpgsql set search_path = ledger, pg_temp as $f$
declare r request; e int; opened bigint; resolved bigint; cap bigint; rest bigint; past boolean;
begin
  if tg_table_name = 'transfer' then
    select * into r from request where id = new.request_id; e := new.epoch;
  else
    select * into r from request where id = new.id; e := r.epoch;
  end if;
  past := e < r.epoch;
  select coalesce(sum(amount), 0) into opened from transfer
   where request_id = r.id and epoch = e and kind in ('reserve','reopen','second_life');
  select coalesce(sum(amount), 0), coalesce(sum(amount) filter (where kind = 'capture'), 0) into resolved, cap
    from transfer where request_id = r.id and epoch = e and kind in ('capture','release') and not remainder;
  select coalesce(sum(amount), 0) into rest from transfer where request_id = r.id and epoch = e and remainder;
  if e > r.epoch or opened <> r.cost
     or resolved + rest <> (case when past or r.state in ('delivered','released') then r.cost else 0 end)
     or cap <> (case when not past and r.state = 'delivered' then r.charged else 0 end) then
    raise exception 'request % state % disagrees with journal (epoch %, cost %, opened %, captured %, released %)',
      r.id, r.state, e, r.cost, opened, cap, resolved + rest - cap using errcode = 'LD005';
  end if;
  return null;
end $f$;
create constraint trigger t_agree after insert or update of state, epoch, charged on request
  deferrable initially deferred for each row execute function request_journal_agree();
create constraint trigger t_agree after insert on transfer
  deferrable initially deferred for each row when (new.request_id is not null) execute function request_journal_agree();

create function outbox_notify() returns trigger language plpgsql set search_path = ledger, pg_temp as $f$
begin perform pg_notify('outbox', new.topic); return null; end $f$;
create trigger t_notify after insert on outbox for each row execute function outbox_notify();

reset role;
