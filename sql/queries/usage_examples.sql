-- What analysts ask first. Each runs as it stands, in psql or a notebook, with the rights of role led_analyst.
-- Days are UTC days. "New work" is kind carousel or again; the other kinds are changes of a finished carousel, mostly free.

-- name: last_week_at_a_glance
select day, sum(requests) as requests, sum(delivered) as delivered, sum(charged) as credits, round(sum(cost_usd), 2) as cost_usd
  from usage.daily where day > current_date - 7 group by day order by day

-- name: where_people_stop
-- The funnel of new work, week by week; each share is of the step before.
select date_trunc('week', day)::date as week, sum(requests) as asked,
       round(sum(outlined) / sum(requests)::numeric, 3) as got_an_outline,
       round(sum(confirmed) / nullif(sum(outlined), 0)::numeric, 3) as confirmed,
       round(sum(delivered) / nullif(sum(confirmed), 0)::numeric, 3) as delivered
  from usage.daily where kind in ('carousel', 'again') group by week order by week

-- name: why_outlines_are_not_confirmed
-- Which styles and languages are thrown away most, among those with enough requests to tell.
select style, language, sum(outlined) as outlined, round(1 - sum(confirmed) / sum(outlined)::numeric, 3) as not_confirmed
  from usage.daily where kind in ('carousel', 'again') and day > current_date - 90
 group by style, language having sum(outlined) >= 20 order by not_confirmed desc, outlined desc

-- name: what_a_carousel_earns
-- Income, cost and margin of a delivered carousel, by month, all costs included.
select date_trunc('month', day)::date as month, sum(delivered) as delivered, round(sum(revenue_usd), 2) as income_usd,
       round(sum(cost_usd), 2) as cost_usd, round(sum(margin_usd) / nullif(sum(delivered), 0), 4) as margin_per_delivered_usd
  from usage.margin group by month order by month

-- name: what_free_work_costs
-- Outlines nobody confirmed, refunds and second lives, as parts of all cost.
select date_trunc('month', day)::date as month, round(sum(cost_usd), 2) as cost_usd,
       round(sum(cost_free_usd) / nullif(sum(cost_usd), 0), 3) as free, round(sum(cost_refunded_usd) / nullif(sum(cost_usd), 0), 3) as refunded,
       round(sum(cost_house_usd) / nullif(sum(cost_usd), 0), 3) as on_the_house
  from usage.daily group by month order by month

-- name: why_credits_went_back
select reason, sum(requests) as requests, sum(credits) as credits,
       round(sum(requests) / (sum(sum(requests)) over ()), 3) as share
  from usage.refund where day > current_date - 30 group by reason order by requests desc

-- name: how_long_people_wait
-- Exact percentiles of any days and dimensions: from every single duration, never from other percentiles.
select date_trunc('week', day)::date as week, count(*) as carousels,
       round(percentile_cont(0.5) within group (order by s)::numeric, 1) as p50_s,
       round(percentile_cont(0.95) within group (order by s)::numeric, 1) as p95_s,
       round(percentile_cont(0.99) within group (order by s)::numeric, 1) as p99_s
  from usage.daily_seconds cross join lateral unnest(total_s) s
 where kind in ('carousel', 'again') group by week order by week

-- name: is_there_a_queue
-- Waits for a run of more than five seconds, by day.
select day, count(*) as taken, count(*) filter (where s > 5) as waited_over_5_s, round(max(s)::numeric, 1) as longest_s
  from usage.daily_seconds cross join lateral unnest(queue_s) s where day > current_date - 30 group by day order by day

-- name: do_people_come_back
-- Share of each week's newcomers who asked again one, four and eight weeks later.
select cohort, cohort_people, max(share) filter (where week = 1) as after_1_week, max(share) filter (where week = 4) as after_4_weeks,
       max(share) filter (where week = 8) as after_8_weeks
  from usage.retention group by cohort, cohort_people order by cohort

-- name: who_pays
-- People who asked and people who bought, by month, and credits bought per buyer.
select date_trunc('month', day)::date as month, count(distinct user_id) filter (where requests > 0) as people,
       count(distinct user_id) filter (where bought > 0) as buyers,
       round(sum(bought) / nullif(count(distinct user_id) filter (where bought > 0), 0), 1) as credits_per_buyer
  from usage.daily_person group by month order by month

-- name: where_credits_are
-- Credits in circulation at the end of each day: sold and gifted, less charged and taken back.
select day, sold, gifted, charged, refunded,
       sum(sold + gifted + held_house - charged - released_house - refunded - recovered) over (order by day) as with_people
  from usage.money order by day

-- name: how_good_are_the_models
-- Calls, share of usable answers, cost and duration by model; retries and refusals count as calls.
select provider, model, step, sum(calls) as calls, round(sum(calls) filter (where outcome in ('ok', 'repaired')) / sum(calls), 4) as usable,
       round(sum(cost_usd), 2) as cost_usd, sum(cost_unknown) as cost_unknown,
       (select round(percentile_cont(0.95) within group (order by s)::numeric, 1)
          from usage.daily_call x cross join lateral unnest(x.seconds) s
         where (x.provider, x.model, x.step) = (c.provider, c.model, c.step)) as p95_s
  from usage.daily_call c group by provider, model, step order by cost_usd desc, calls desc

-- name: can_i_trust_this
select name, passed, detail from usage.health
