-- Every call to a model provider is a row, written around the call: begun before a byte leaves, ended with what it took. What was
-- bought is therefore known whatever crashes; a call that nobody ended is closed as 'abandoned' by the next one for the same slide,
-- its cost unknown (the predecessor paid for a dropped answer again and again and never knew).
--
-- The same two calls keep three limits, because only the database sees all run processes: calls per request and day, money per
-- provider and day, and a circuit breaker per provider. While a breaker is open the front door is polite instead of burning money;
-- when its time is over one call goes through as a probe, and its outcome closes or reopens it.
set local role led_owner;
set local search_path = carousel, ledger, pg_temp;

create table carousel.attempt (
  id bigint generated always as identity constraint attempt_pk primary key,
  request_id uuid not null constraint attempt_request_fk references carousel.request (id) on delete cascade,
  run_id text constraint attempt_run_length check (length(run_id) between 1 and 100),
  step text not null constraint attempt_step check (step in ('copy', 'picture', 'translate')),
  slide int constraint attempt_slide_range check (slide between 1 and 10),
  provider text not null constraint attempt_provider check (provider in ('anthropic', 'gemini', 'offline')),
  model text not null constraint attempt_model_length check (length(model) between 1 and 100),
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  outcome text not null default 'pending'
    constraint attempt_outcome check (outcome in
      ('pending', 'ok', 'repaired', 'refused', 'retryable', 'failed', 'stand_in', 'abandoned')),
  tokens_in bigint constraint attempt_tokens_in_range check (tokens_in >= 0),
  tokens_out bigint constraint attempt_tokens_out_range check (tokens_out >= 0),
  images int constraint attempt_images_range check (images between 0 and 10),
  cost_usd numeric(14, 6) constraint attempt_cost_range check (cost_usd >= 0),
  provider_request_id text constraint attempt_provider_request_length check (length(provider_request_id) <= 200),
  error text constraint attempt_error_length check (length(error) <= 200),
  constraint attempt_ends_once check ((outcome = 'pending') = (ended_at is null))
);
comment on column carousel.attempt.slide is 'null for the copy; in cheap mode the first slide that the picture is cut for';
comment on column carousel.attempt.cost_usd is 'null where nobody knows: pending, abandoned, or an answer that never came and may have been billed';
comment on column carousel.attempt.error is 'a typed code of ours or the provider''s, never a word of the user''s text';
create index attempt_request on carousel.attempt (request_id, started_at);
create index attempt_started on carousel.attempt (started_at);
create index attempt_pending on carousel.attempt (request_id, step) where outcome = 'pending';

create table carousel.provider_state (
  provider text constraint provider_state_pk primary key
    constraint provider_state_provider check (provider in ('anthropic', 'gemini', 'offline')),
  failures int not null default 0 constraint provider_state_failures_range check (failures >= 0),
  opened_until timestamptz,
  reason text constraint provider_state_reason_length check (length(reason) <= 200),
  day date not null default (clock_timestamp() at time zone 'utc')::date,
  spent_usd numeric(14, 6) not null default 0 constraint provider_state_spent_range check (spent_usd >= 0),
  updated_at timestamptz not null default clock_timestamp(),
  constraint provider_state_open_says_why check (opened_until is null or reason is not null)
);
comment on table carousel.provider_state is 'one circuit breaker per provider, shared by all run processes; no row: never failed, never paid';
comment on column carousel.provider_state.opened_until is 'no call before this moment; past: the next call is the probe; null: closed';
create trigger t_touch before update on carousel.provider_state for each row execute function ledger.touch();

-- What a call may have cost whose answer never came; counted against the day's money, never shown as a cost.
create function carousel.unknown_cost() returns numeric language sql immutable as $f$ select 0.05 $f$;
create function carousel.failures_to_open() returns int language sql immutable as $f$ select 5 $f$;
create function carousel.probe_lease() returns interval language sql immutable as $f$ select interval '2 minutes' $f$;

-- May this call be made? 'go' with the new row's id; 'open' while the provider's breaker is, with the seconds to wait;
-- 'request_limit' when the request has had its calls of the day; 'day_limit' when the provider's money of the day is spent.
create function carousel.begin_attempt(p_request uuid, p_run text, p_step text, p_slide int, p_provider text, p_model text,
                                       p_calls int, p_day_usd numeric,
                                       out id bigint, out verdict text, out wait_s double precision)
language plpgsql security definer set search_path = carousel, pg_temp as $f$
declare
  here timestamptz := clock_timestamp();
  midnight timestamptz;
  s carousel.provider_state;
begin
  update carousel.attempt a set outcome = 'abandoned', ended_at = here, error = 'no_end'
   where a.request_id = p_request and a.step = p_step and a.slide is not distinct from p_slide and a.outcome = 'pending';
  if p_provider <> 'offline' then
    if (select count(*) from carousel.attempt a where a.request_id = p_request and a.provider = p_provider
        and a.started_at > here - interval '1 day') >= p_calls then
      verdict := 'request_limit'; return;
    end if;
    insert into carousel.provider_state (provider) values (p_provider) on conflict on constraint provider_state_pk do nothing;
    select * into s from carousel.provider_state p where p.provider = p_provider;
    if s.day = (here at time zone 'utc')::date and s.spent_usd >= p_day_usd then
      midnight := (s.day + 1)::timestamp at time zone 'utc';
      update carousel.provider_state p set opened_until = midnight, reason = 'day_limit'
       where p.provider = p_provider and (p.opened_until is null or p.opened_until < midnight);
      verdict := 'day_limit';
      wait_s := extract(epoch from midnight - here);
      return;
    end if;
    if s.opened_until is not null then
      update carousel.provider_state p set opened_until = here + carousel.probe_lease()
       where p.provider = p_provider and p.opened_until <= here;
      if not found then
        verdict := 'open';
        wait_s := greatest(0, extract(epoch from s.opened_until - here));
        return;
      end if;
    end if;
  end if;
  insert into carousel.attempt (request_id, run_id, step, slide, provider, model)
  values (p_request, p_run, p_step, p_slide, p_provider, p_model) returning attempt.id into begin_attempt.id;
  verdict := 'go';
end $f$;

-- Ends a call. p_health says what it tells about the provider: 'up' closes the breaker, 'down' counts towards opening it, 'stopped'
-- opens it at once for p_pause, null tells nothing. An answer that arrives after its row was abandoned still counts what it cost.
create function carousel.end_attempt(p_id bigint, p_outcome text, p_tokens_in bigint, p_tokens_out bigint, p_images int,
                                     p_cost numeric, p_provider_request text, p_error text, p_health text, p_pause interval)
returns boolean
language plpgsql security definer set search_path = carousel, pg_temp as $f$
declare
  here timestamptz := clock_timestamp();
  a carousel.attempt;
begin
  update carousel.attempt t
     set outcome = p_outcome, ended_at = here, tokens_in = p_tokens_in, tokens_out = p_tokens_out, images = p_images,
         cost_usd = p_cost, provider_request_id = left(p_provider_request, 200), error = left(p_error, 200)
   where t.id = p_id and t.outcome in ('pending', 'abandoned') returning * into a;
  if not found then return false; end if;
  if a.provider = 'offline' then return true; end if;
  update carousel.provider_state s
     set day = (here at time zone 'utc')::date,
         spent_usd = case when s.day = (here at time zone 'utc')::date then s.spent_usd else 0 end
                     + coalesce(p_cost, carousel.unknown_cost()),
         failures = case p_health when 'up' then 0 when 'down' then s.failures + 1 when 'stopped' then s.failures + 1
                    else s.failures end,
         opened_until = case
           when p_health = 'up' then null
           when p_health = 'stopped' then greatest(s.opened_until, here + coalesce(p_pause, interval '10 minutes'))
           when p_health = 'down' and s.failures + 1 >= carousel.failures_to_open()
             then here + least(interval '10 minutes',
                               interval '30 seconds' * power(2, least(10, s.failures + 1 - carousel.failures_to_open())))
           else s.opened_until end,
         reason = case
           when p_health = 'up' then null
           when p_health = 'stopped' or (p_health = 'down' and s.failures + 1 >= carousel.failures_to_open())
             then coalesce(left(p_error, 200), p_health)
           else s.reason end
   where s.provider = a.provider;
  return true;
end $f$;

revoke all on carousel.attempt, carousel.provider_state from public;
revoke all on function carousel.unknown_cost(), carousel.failures_to_open(), carousel.probe_lease(),
  carousel.begin_attempt(uuid, text, text, int, text, text, int, numeric),
  carousel.end_attempt(bigint, text, bigint, bigint, int, numeric, text, text, text, interval) from public;
grant usage on schema carousel to led_analyst;
grant select on carousel.attempt to led_pipeline, led_ops, led_analyst;
grant select on carousel.provider_state to led_bot, led_pipeline, led_ops;
grant execute on function
  carousel.begin_attempt(uuid, text, text, int, text, text, int, numeric),
  carousel.end_attempt(bigint, text, bigint, bigint, int, numeric, text, text, text, interval) to led_pipeline;
reset role;
