-- The report of a span of UTC days, first to last included (carousel_pipeline/usage/summary.py). Runs as the analyst.
-- "New" is new work: kinds carousel and again; changes of a finished carousel are mostly free and would blur every share.

-- name: totals
select coalesce(sum(requests), 0)::bigint as requests,
       coalesce(sum(requests) filter (where new), 0)::bigint as asked, coalesce(sum(outlined) filter (where new), 0)::bigint as outlined,
       coalesce(sum(confirmed) filter (where new), 0)::bigint as confirmed,
       coalesce(sum(d.delivered) filter (where new), 0)::bigint as delivered,
       coalesce(sum(confirmed), 0)::bigint as confirmed_all, coalesce(sum(d.delivered), 0)::bigint as delivered_all,
       coalesce(sum(refunded), 0)::bigint as refunded_all, coalesce(sum(released), 0)::bigint as credits_back,
       coalesce(sum(d.charged), 0)::bigint as charged, coalesce(sum(charged_house), 0)::bigint as charged_house,
       coalesce(sum(d.cost_usd), 0)::float8 as cost_usd, coalesce(sum(m.revenue_usd), 0)::float8 as revenue_usd,
       coalesce(sum(cost_charged_usd), 0)::float8 as cost_charged_usd, coalesce(sum(cost_house_usd), 0)::float8 as cost_house_usd,
       coalesce(sum(cost_refunded_usd), 0)::float8 as cost_refunded_usd, coalesce(sum(cost_free_usd), 0)::float8 as cost_free_usd,
       (select count(distinct user_id) from usage.daily_person where day between %(first)s and %(last)s and requests > 0) as people,
       (select count(distinct user_id) from usage.daily_person where day between %(first)s and %(last)s and bought > 0) as buyers
  from (select *, kind in ('carousel', 'again') as new from usage.daily) d
  join usage.margin m using (day, kind, style, language, writer, painter)
 where d.day between %(first)s and %(last)s

-- name: by_day
select c.day, coalesce(d.requests, 0)::bigint as requests, coalesce(d.asked, 0)::bigint as asked,
       coalesce(d.delivered, 0)::bigint as delivered, coalesce(d.revenue_usd, 0)::float8 as revenue_usd,
       coalesce(d.cost_usd, 0)::float8 as cost_usd
  from usage.day c
  left join (
    select day, sum(d.requests) as requests, sum(d.requests) filter (where kind in ('carousel', 'again')) as asked,
           sum(d.delivered) filter (where kind in ('carousel', 'again')) as delivered,
           sum(m.revenue_usd) as revenue_usd, sum(d.cost_usd) as cost_usd
      from usage.daily d join usage.margin m using (day, kind, style, language, writer, painter)
     where day between %(first)s and %(last)s group by day) d using (day)
 where c.day between %(first)s and %(last)s order by c.day

-- name: refunds
select reason, sum(requests)::bigint as requests, sum(credits)::bigint as credits
  from usage.refund where day between %(first)s and %(last)s group by reason order by requests desc, reason

-- name: latency
-- Of new carousels, exact: from every single duration.
select s.step, count(*) as n,
       (percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by x::float8))::float8[] as at
  from usage.daily_seconds d
  cross join lateral (values ('outline', outline_s), ('queue', queue_s), ('making', making_s), ('sending', sending_s),
                             ('total', total_s)) as s (step, seconds)
  cross join lateral unnest(s.seconds) x
 where d.day between %(first)s and %(last)s and kind in ('carousel', 'again') group by s.step order by s.step

-- name: waits
select d.day, s.step, (percentile_cont(array[0.5, 0.95]) within group (order by x::float8))::float8[] as at
  from usage.daily_seconds d
  cross join lateral (values ('queue', queue_s), ('total', total_s)) as s (step, seconds)
  cross join lateral unnest(s.seconds) x
 where d.day between %(first)s and %(last)s and kind in ('carousel', 'again') group by d.day, s.step order by d.day, s.step

-- name: retention
select cohort, week, cohort_people, people, share::float8 as share from usage.retention
 where cohort > %(last)s::date - 70 and cohort <= %(last)s and cohort + week * 7 <= %(last)s order by cohort, week

-- name: styles
select style as name, sum(d.requests)::bigint as requests, sum(d.delivered)::bigint as delivered,
       sum(m.revenue_usd)::float8 as revenue_usd, sum(d.cost_usd)::float8 as cost_usd
  from usage.daily d join usage.margin m using (day, kind, style, language, writer, painter)
 where day between %(first)s and %(last)s and kind in ('carousel', 'again') group by style order by requests desc, style

-- name: languages
select language as name, sum(d.requests)::bigint as requests, sum(d.delivered)::bigint as delivered,
       sum(m.revenue_usd)::float8 as revenue_usd, sum(d.cost_usd)::float8 as cost_usd
  from usage.daily d join usage.margin m using (day, kind, style, language, writer, painter)
 where day between %(first)s and %(last)s and kind in ('carousel', 'again') group by language order by requests desc, language

-- name: money
select coalesce(sum(sold), 0)::bigint as sold, coalesce(sum(gifted), 0)::bigint as gifted, coalesce(sum(held), 0)::bigint as held,
       coalesce(sum(charged), 0)::bigint as charged, coalesce(sum(released), 0)::bigint as released,
       coalesce(sum(refunded), 0)::bigint as refunded, coalesce(sum(bad_debt), 0)::bigint as bad_debt
  from usage.money where day between %(first)s and %(last)s

-- name: models
select provider, model, step, sum(calls)::bigint as calls, sum(cost_usd)::float8 as cost_usd,
       sum(calls) filter (where outcome in ('ok', 'repaired'))::float8 / sum(calls)::float8 as good,
       sum(cost_unknown)::bigint as cost_unknown
  from usage.daily_call where day between %(first)s and %(last)s
 group by provider, model, step order by cost_usd desc, provider, model, step

-- name: health
select name, passed, detail from usage.health order by array_position(array['totals', 'present', 'margin', 'freshness'], name)
