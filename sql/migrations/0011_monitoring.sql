-- What a person on call asks of the system, in one cheap call, and the audit that is too slow to ask at every scrape.
--
-- What stays true: no figure costs time in proportion to the past (each reads open rows or the last hour, by index), and none
-- carries a person's id or a word that somebody typed: reasons that are not ours are counted as 'other'.
set local role led_owner;
set local search_path = carousel, ledger, pg_temp;

create index outbox_dead on ledger.outbox (topic) where dead;
create index inbox_dead on ledger.inbox (source) where dead;

create table carousel.audit (
  id bigint generated always as identity constraint audit_pk primary key,
  checked_at timestamptz not null default clock_timestamp(),
  violations int not null constraint audit_violations_range check (violations >= 0),
  rules jsonb not null constraint audit_rules_object check (jsonb_typeof(rules) = 'object')
);
comment on table carousel.audit is 'one row per look at ledger.invariant_violation: how many rows it had, by rule; kept for 30 days';
create index audit_checked on carousel.audit (checked_at);

-- Looks at every invariant of the ledger, which takes time in proportion to its history, and remembers what it saw.
create function carousel.run_audit(out violations int, out rules jsonb)
language plpgsql security definer set search_path = carousel, ledger, pg_temp as $f$
begin
  select coalesce(sum(found.n), 0), coalesce(jsonb_object_agg(found.rule, found.n), '{}') into violations, rules
    from (select v.rule, count(*) as n from ledger.invariant_violation v group by v.rule) found;
  insert into carousel.audit (violations, rules) values (run_audit.violations, run_audit.rules);
  delete from carousel.audit a where a.checked_at < clock_timestamp() - interval '30 days';
end $f$;

-- now() and not clock_timestamp(), which is asked anew for every row and so by no index.
create function carousel.figures() returns table (name text, labels jsonb, value double precision)
language sql stable security definer set search_path = carousel, ledger, bot, pay, pg_temp as $f$
  with open_requests as materialized (
    select state, count(*) as n, sum(cost) as credits, max(extract(epoch from clock_timestamp() - created_at)) as oldest
      from ledger.request where state in ('reserved', 'running', 'rendered', 'delivery_unknown') group by state),
  states (state) as (values ('reserved'), ('running'), ('rendered'), ('delivery_unknown')),
  waiting as materialized (
    select topic, count(*) as n, max(extract(epoch from clock_timestamp() - created_at)) as oldest
      from ledger.outbox where done_at is null and not dead group by topic)
  select 'holds_open', jsonb_build_object('state', s.state), coalesce(o.n, 0)::float8
    from states s left join open_requests o using (state)
  union all select 'hold_oldest_seconds', jsonb_build_object('state', s.state), coalesce(o.oldest, 0)::float8
    from states s left join open_requests o using (state)
  union all select 'credits_held', '{}', coalesce(sum(credits), 0)::float8 from open_requests
  union all select 'outlines_drafting', '{}', count(*)::float8 from carousel.request where phase = 'drafting'
  union all select 'requests_last_hour', jsonb_build_object('state', e.dst), count(*)::float8
    from ledger.request_event e where e.created_at > now() - interval '1 hour' group by e.dst
  union all select 'refunds_last_hour', jsonb_build_object('reason', r.reason), count(*)::float8
    from (select case when t.meta ->> 'reason' in ('images', 'rendered_slides', 'delivery_receipt', 'cancelled', 'timeout', 'crash',
                                                   'stopped', 'failed') then t.meta ->> 'reason' else 'other' end as reason
            from ledger.transfer t
           where t.kind = 'release' and not t.remainder and t.created_at > now() - interval '1 hour') r
   group by r.reason
  union all select 'provider_calls_last_hour', jsonb_build_object('provider', a.provider, 'outcome', a.outcome), count(*)::float8
    from carousel.attempt a where a.started_at > now() - interval '1 hour' group by a.provider, a.outcome
  union all select 'provider_cost_usd_last_hour', jsonb_build_object('provider', a.provider), coalesce(sum(a.cost_usd), 0)::float8
    from carousel.attempt a where a.started_at > now() - interval '1 hour' group by a.provider
  union all select 'provider_breaker_open', jsonb_build_object('provider', p.provider),
                   (p.opened_until is not null and p.opened_until > clock_timestamp())::int::float8 from carousel.provider_state p
  union all select 'outbox_waiting', jsonb_build_object('topic', w.topic), w.n::float8 from waiting w
  union all select 'outbox_oldest_seconds', '{}', coalesce(max(w.oldest), 0)::float8 from waiting w
  union all select 'outbox_dead', '{}', count(*)::float8 from ledger.outbox where dead
  union all select 'inbox_waiting', jsonb_build_object('source', 'telegram'), count(*)::float8
    from bot.inbox where processed_at is null
  union all select 'inbox_waiting', jsonb_build_object('source', 'payments'), count(*)::float8
    from ledger.inbox where processed_at is null and not dead
  union all select 'inbox_oldest_seconds', jsonb_build_object('source', 'telegram'),
                   coalesce(extract(epoch from clock_timestamp() - min(i.received_at)), 0)::float8
    from bot.inbox i where i.processed_at is null
  union all select 'inbox_oldest_seconds', jsonb_build_object('source', 'payments'),
                   coalesce(extract(epoch from clock_timestamp() - min(i.received_at)), 0)::float8
    from ledger.inbox i where i.processed_at is null and not i.dead
  union all select p.name, '{}', p.n::float8 from pay.health() h
    cross join lateral (values ('payments_unmatched', h.unmatched), ('payment_reports_dead', h.letters_dead),
                               ('payment_refunds_late', h.refunds_waiting)) as p (name, n)
  union all select 'second_lives_last_day', '{}', count(*)::float8
    from ledger.second_life_log where created_at > now() - interval '1 day'
  union all (select 'invariant_violations', '{}'::jsonb, a.violations::float8 from carousel.audit a order by a.checked_at desc, a.id desc limit 1)
  union all select 'audit_age_seconds', '{}', extract(epoch from clock_timestamp() - max(a.checked_at))::float8
    from carousel.audit a having max(a.checked_at) is not null
  union all select 'usage_check_failed', jsonb_build_object('check', h.name), (not h.passed)::int::float8 from usage.health h
  union all select 'database_connections', '{}', sum(d.numbackends)::float8 from pg_stat_database d
$f$;

revoke all on carousel.audit from public;
revoke all on function carousel.run_audit(), carousel.figures() from public;
grant select on carousel.audit to led_ops, led_analyst, led_bot;
grant execute on function carousel.run_audit() to led_pipeline;
grant execute on function carousel.figures() to led_bot, led_ops;
reset role;
