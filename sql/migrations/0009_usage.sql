-- What the business did, day by day: facts that an analyst may read, without a Telegram id, a word of a text or a secret.
--
-- What stays true:
-- * a day is a UTC day, everywhere;
-- * two ways to attribute, never mixed in one table: what belongs to a request counts on the day the request was opened (daily,
--   daily_failure, daily_seconds, daily_person.requests …), so shares and margins compare like with like however late the end
--   comes; what is booked or called counts on the day it happened (daily_money, daily_call, daily_person.bought);
-- * a day is replaced whole, from one snapshot (carousel_pipeline/usage/build.py), so building it again changes nothing;
-- * a fact that comes late marks its days in stale_day before anything forgets that it came; only a build that saw it unmarks;
-- * the pipeline reads the sources through the source_* views below and nothing else: what is not in them cannot leak.
create schema usage authorization led_owner;
set local role led_owner;
set local search_path = usage, pg_temp;
comment on schema usage is 'Daily facts for analysts. Days are UTC days. Credits are whole numbers, money of providers is in USD.';

-- ---------- where changes are found ----------------------------------------------------------------
-- Block-range indexes on what changes: an update stays cheap (HOT) with them. They cannot find the last hour: a range that is not
-- summarised yet is read whole, which after a million requests was most of what /metrics did.
create index request_created on carousel.request (created_at);
create index request_updated on carousel.request using brin (updated_at) with (pages_per_range = 16, autosummarize = on);
create index request_event_created on ledger.request_event (created_at);
create index delivery_updated on ledger.delivery using brin (updated_at) with (pages_per_range = 32, autosummarize = on);
create index attempt_ended on carousel.attempt using brin (ended_at) with (pages_per_range = 32, autosummarize = on);

-- ---------- what the roll-up reads -----------------------------------------------------------------
create view source_request as
  select r.id, r.user_id, r.kind, r.options ->> 'style' as style,
         coalesce(r.deck ->> 'language', r.options ->> 'language', 'unknown') as language,
         coalesce(jsonb_array_length(r.deck -> 'slides'), 0) as slides,
         r.phase, r.failure, r.created_at as opened_at, r.outlined_at, r.confirmed_at,
         l.state
    from carousel.request r left join ledger.request l on l.id = r.id;
comment on view source_request is 'one row a request, without its text; what the roll-up reads';

create view source_event as
  select e.request_id, e.id, e.dst, e.created_at as happened_at,
         case when e.dst = 'released' then case when e.note like '%: %' then 'operator' else replace(e.note, ' ', '_') end end as reason
    from ledger.request_event e;
comment on view source_event is 'the steps of confirmed requests; reasons of refunds as codes, an operator''s words as operator';

create view source_transfer as
  select t.id, t.request_id, t.epoch, t.kind, t.debit_code, t.credit_code, t.user_id, t.amount, t.created_at as booked_at
    from ledger.transfer t;
comment on view source_transfer is 'the journal without payment ids and notes';

create view source_attempt as
  select a.id, a.request_id, a.step, a.provider, a.model, a.outcome, a.started_at, a.ended_at,
         coalesce(a.tokens_in, 0) as tokens_in, coalesce(a.tokens_out, 0) as tokens_out, coalesce(a.images, 0) as images,
         a.cost_usd
    from carousel.attempt a;
comment on view source_attempt is 'calls of model providers, without their answers';

create view source_delivery as
  select d.id, d.request_id, d.state, d.created_at as begun_at from ledger.delivery d;
comment on view source_delivery is 'sendings of albums, without message ids';

-- ---------- the facts ---------------------------------------------------------------------------------
create table day (
  day date constraint day_pk primary key,
  built_at timestamptz not null,
  requests bigint not null constraint day_requests_range check (requests >= 0),
  took_ms bigint not null constraint day_took_range check (took_ms >= 0)
);
comment on table day is 'the calendar: one row for each day that was rolled up';
comment on column day.day is 'UTC day';
comment on column day.built_at is 'the moment of the snapshot it was built from; facts committed later are not in it yet';
comment on column day.requests is 'requests opened on that day; equals the sum over daily';
comment on column day.took_ms is 'milliseconds that reading, computing and writing took; shared evenly by days built together';

create table stale_day (
  day date, since timestamptz,
  constraint stale_day_pk primary key (day, since)
);
comment on table stale_day is 'days with facts that their row in day has not seen; a mark is a row of its own, so that none gets lost';
comment on column stale_day.day is 'UTC day to build again';
comment on column stale_day.since is 'when the change was noticed; a build removes the marks that its snapshot sees';

create table watermark (
  one boolean constraint watermark_pk primary key default true constraint watermark_one_row check (one),
  seen_until timestamptz not null
);
insert into watermark values (true, '-infinity');
comment on table watermark is 'up to when changes have been looked for; one row';
comment on column watermark.one is 'always true: there is one row';
comment on column watermark.seen_until is 'the next look begins 15 minutes earlier: no transaction of ours lives longer';

create table price (
  valid_from date constraint price_pk primary key,
  usd_per_credit numeric(12, 6) not null constraint price_positive check (usd_per_credit > 0),
  note text not null
);
insert into price values ('2020-01-01', 0.0325, 'the cheapest credit on sale, 2.5 Stars, at the 0.013 USD that Telegram pays for a Star; set your own');
comment on table price is 'what a charged credit is worth, for margins; change it by adding a row, history keeps its own price';
comment on column price.valid_from is 'first UTC day the price holds for, by the day a request was opened';
comment on column price.usd_per_credit is 'USD that a charged credit brings, after the share of Telegram and the banks';
comment on column price.note is 'where the figure comes from';

create table daily (
  day date, kind text, style text, language text, writer text, painter text,
  requests bigint not null, outlined bigint not null, confirmed bigint not null,
  delivered bigint not null, refunded bigint not null, failed bigint not null, discarded bigint not null, open bigint not null,
  in_doubt bigint not null, slides bigint not null, stand_ins bigint not null, sends bigint not null, sends_rejected bigint not null,
  held bigint not null, charged bigint not null, released bigint not null,
  held_house bigint not null, charged_house bigint not null, released_house bigint not null,
  calls bigint not null, calls_cost_unknown bigint not null,
  cost_usd numeric(14, 6) not null, cost_charged_usd numeric(14, 6) not null, cost_house_usd numeric(14, 6) not null,
  cost_refunded_usd numeric(14, 6) not null, cost_free_usd numeric(14, 6) not null,
  constraint daily_pk primary key (day, kind, style, language, writer, painter),
  constraint daily_counts_add_up check (requests = delivered + refunded + failed + discarded + open),
  constraint daily_steps_narrow check (requests >= outlined and outlined >= confirmed and confirmed >= delivered + refunded
                                       and in_doubt <= open),
  constraint daily_credits_add_up check (held >= charged + released and held_house >= charged_house + released_house),
  constraint daily_costs_add_up check (cost_usd = cost_charged_usd + cost_house_usd + cost_refunded_usd + cost_free_usd)
);
comment on table daily is 'requests by the day they were opened, with all that became of them since; additive: sum over any dimension';
comment on column daily.day is 'UTC day on which the request was opened';
comment on column daily.kind is 'what was asked for: carousel (a new text), again, or a change: text, picture, style, size, language, slides, undo';
comment on column daily.style is 'id of the style chosen last, see assets_static/styles';
comment on column daily.language is 'ISO 639 code of the slides'' language; unknown while there is no outline and none was chosen';
comment on column daily.writer is 'model that wrote the copy; none where the copy was taken over or never came';
comment on column daily.painter is 'model that painted the pictures; none where nothing was painted';
comment on column daily.requests is 'requests opened = delivered + refunded + failed + discarded + open';
comment on column daily.outlined is 'of these, an outline was ready';
comment on column daily.confirmed is 'of these, the user said: make it (free changes count as confirmed)';
comment on column daily.delivered is 'of these, the album arrived';
comment on column daily.refunded is 'confirmed, but nothing arrived: all credits went back';
comment on column daily.failed is 'no outline came, nothing was charged; reasons in daily_failure';
comment on column daily.discarded is 'the user threw the outline away, or changed it into another request';
comment on column daily.open is 'not ended: being written, waiting for the user, being made, or in doubt';
comment on column daily.in_doubt is 'of open, the user is asked whether the album arrived';
comment on column daily.slides is 'slides of the delivered albums';
comment on column daily.stand_ins is 'slides whose picture the provider refused, with the painter''s own background instead; not charged';
comment on column daily.sends is 'times an album was sent or tried, repeats included';
comment on column daily.sends_rejected is 'of these, Telegram certainly refused';
comment on column daily.held is 'credits of users reserved for these requests';
comment on column daily.charged is 'credits of users charged for what arrived';
comment on column daily.released is 'credits given back to users; held = charged + released + what is still held';
comment on column daily.held_house is 'credits that the house put up for a second life';
comment on column daily.charged_house is 'of these, charged: carousels on the house';
comment on column daily.released_house is 'of these, given back to the house';
comment on column daily.calls is 'calls of model providers for these requests, failed ones included';
comment on column daily.calls_cost_unknown is 'of these, nobody knows the cost (no answer came); counted as 0 in cost_usd';
comment on column daily.cost_usd is 'what the providers took for these requests = the four columns that follow';
comment on column daily.cost_charged_usd is 'for requests that were delivered and charged to the user';
comment on column daily.cost_house_usd is 'for carousels delivered on the house';
comment on column daily.cost_refunded_usd is 'for requests that were refunded';
comment on column daily.cost_free_usd is 'for outlines nobody confirmed, free changes and what is still open';

create table daily_failure (
  day date, kind text, style text, language text, writer text, painter text, stage text, reason text,
  requests bigint not null constraint daily_failure_requests_range check (requests > 0),
  credits bigint not null constraint daily_failure_credits_range check (credits >= 0),
  constraint daily_failure_stage check (stage in ('outline', 'carousel')),
  constraint daily_failure_pk primary key (day, kind, style, language, writer, painter, stage, reason)
);
comment on table daily_failure is 'why requests failed, at the grain of daily; stage outline adds up to daily.failed, stage carousel to daily.refunded';
comment on column daily_failure.day is 'as daily.day';
comment on column daily_failure.kind is 'as daily.kind';
comment on column daily_failure.style is 'as daily.style';
comment on column daily_failure.language is 'as daily.language';
comment on column daily_failure.writer is 'as daily.writer';
comment on column daily_failure.painter is 'as daily.painter';
comment on column daily_failure.stage is 'outline: no outline came; carousel: nothing arrived, the credits went back';
comment on column daily_failure.reason is 'code: the step that failed, timeout, stopped, cancelled, operator …; other where it was no code';
comment on column daily_failure.requests is 'requests that ended so';
comment on column daily_failure.credits is 'credits given back to users for them';

create table daily_seconds (
  day date, kind text, style text, language text, writer text, painter text,
  outline_s real[] not null, choice_s real[] not null, queue_s real[] not null, making_s real[] not null, sending_s real[] not null,
  total_s real[] not null,
  constraint daily_seconds_pk primary key (day, kind, style, language, writer, painter)
);
comment on table daily_seconds is 'every duration of these requests, in seconds, ascending: percentiles stay exact over any days and dimensions; see latency';
comment on column daily_seconds.day is 'as daily.day';
comment on column daily_seconds.kind is 'as daily.kind';
comment on column daily_seconds.style is 'as daily.style';
comment on column daily_seconds.language is 'as daily.language';
comment on column daily_seconds.writer is 'as daily.writer';
comment on column daily_seconds.painter is 'as daily.painter';
comment on column daily_seconds.outline_s is 'opened to outline ready';
comment on column daily_seconds.choice_s is 'outline ready to confirmed: the user thinks';
comment on column daily_seconds.queue_s is 'confirmed to taken by a run';
comment on column daily_seconds.making_s is 'taken by a run to all slides drawn, of the attempt that was delivered';
comment on column daily_seconds.sending_s is 'all slides drawn to arrived';
comment on column daily_seconds.total_s is 'confirmed to arrived: what the user waits';

create table daily_call (
  day date, provider text, model text, step text, outcome text,
  calls bigint not null constraint daily_call_calls_range check (calls > 0),
  tokens_in bigint not null, tokens_out bigint not null, images bigint not null,
  cost_usd numeric(14, 6) not null, cost_unknown bigint not null, seconds real[] not null,
  constraint daily_call_pk primary key (day, provider, model, step, outcome)
);
comment on table daily_call is 'calls of model providers by the day they began; what an invoice is compared with';
comment on column daily_call.day is 'UTC day on which the call began';
comment on column daily_call.provider is 'anthropic, gemini, or offline (no key: plays for free)';
comment on column daily_call.model is 'model id as the provider calls it';
comment on column daily_call.step is 'copy, picture or translate';
comment on column daily_call.outcome is 'ok, repaired, refused, retryable, failed, stand_in, abandoned or pending, see carousel.attempt';
comment on column daily_call.calls is 'calls';
comment on column daily_call.tokens_in is 'tokens sent';
comment on column daily_call.tokens_out is 'tokens received';
comment on column daily_call.images is 'pictures received';
comment on column daily_call.cost_usd is 'known cost';
comment on column daily_call.cost_unknown is 'calls whose cost nobody knows; they are in no sum';
comment on column daily_call.seconds is 'durations of the ended calls, ascending';

create table daily_money (
  day date, kind text, debit_code text, credit_code text,
  transfers bigint not null constraint daily_money_transfers_range check (transfers > 0),
  credits bigint not null constraint daily_money_credits_range check (credits > 0),
  constraint daily_money_pk primary key (day, kind, debit_code, credit_code)
);
comment on table daily_money is 'the ledger''s journal summed up by the day of booking, to the credit; the view money names the sums';
comment on column daily_money.day is 'UTC day on which the transfer was booked';
comment on column daily_money.kind is 'the transfer''s kind, see ledger.transfer';
comment on column daily_money.debit_code is 'account the credits left, see ledger.account';
comment on column daily_money.credit_code is 'account the credits went to';
comment on column daily_money.transfers is 'transfers';
comment on column daily_money.credits is 'their sum';

create table daily_person (
  day date, user_id bigint,
  requests bigint not null, confirmed bigint not null, delivered bigint not null, charged bigint not null, bought bigint not null,
  constraint daily_person_pk primary key (user_id, day),
  constraint daily_person_did_something check (requests > 0 or bought > 0)
);
comment on table daily_person is 'who did what, by the internal number of a person that only the ledger can tie to anybody; basis of active and retention';
comment on column daily_person.day is 'UTC day';
comment on column daily_person.user_id is 'internal number, never a Telegram id; survives erasure as a number without a person';
comment on column daily_person.requests is 'requests opened on that day';
comment on column daily_person.confirmed is 'of these, confirmed by now';
comment on column daily_person.delivered is 'of these, delivered by now';
comment on column daily_person.charged is 'credits charged for these';
comment on column daily_person.bought is 'credits bought on that day';
create index daily_person_day on daily_person (day);

create table check_result (
  name text constraint check_result_pk primary key
    constraint check_result_name check (name in ('totals', 'present', 'margin', 'freshness')),
  passed boolean not null,
  detail text not null,
  checked_at timestamptz not null default clock_timestamp()
);
comment on table check_result is 'what the last run of each check found; the view health adds how old that is';
comment on column check_result.name is 'totals: equal to the ledger; present: no day is missing; margin: no loss without a reason; freshness: built lately';
comment on column check_result.passed is 'whether all is well';
comment on column check_result.detail is 'one line for a person';
comment on column check_result.checked_at is 'when';

-- ---------- which days to build ----------------------------------------------------------------------
create function mark_stale() returns bigint
language plpgsql security definer set search_path = usage, pg_temp as $f$
declare here timestamptz := clock_timestamp(); since timestamptz; marked bigint;
begin                                    -- how many days were marked
  select seen_until - interval '15 minutes' into since from watermark for update;
  insert into stale_day (day, since)
  with changed (id) as (                 -- the first look finds every request by itself
    select r.id from carousel.request r where r.updated_at >= since
    union select e.request_id from ledger.request_event e where e.created_at >= since and since > '-infinity'
    union select d.request_id from ledger.delivery d where d.updated_at >= since and since > '-infinity'
    union select a.request_id from carousel.attempt a where (a.started_at >= since or a.ended_at >= since) and since > '-infinity'),
  touched (day) as (
    select distinct (r.created_at at time zone 'UTC')::date from carousel.request r join changed using (id)
    union select (t.created_at at time zone 'UTC')::date from ledger.transfer t where t.created_at >= since
    union select (a.started_at at time zone 'UTC')::date from carousel.attempt a where a.started_at >= since or a.ended_at >= since),
  known (day) as (select t.day from touched t union select d.day from day d union select s.day from stale_day s),
  -- A day without a fact is a day too: the calendar has no holes.
  calendar (day) as (select generate_series(min(k.day), (here at time zone 'UTC')::date, interval '1 day')::date from known k)
  select c.day, here from calendar c
   where exists (select from touched t where t.day = c.day)
      or not exists (select from day d where d.day = c.day) and not exists (select from stale_day s where s.day = c.day);
  get diagnostics marked = row_count;
  update watermark set seen_until = here;
  return marked;
end $f$;
comment on function mark_stale is 'marks the days whose facts changed since the last look, and days that were never built';

-- ---------- views: what analysts ask first ---------------------------------------------------------------
create view funnel as
  select day, kind, sum(requests) as requests, sum(outlined) as outlined, sum(confirmed) as confirmed, sum(delivered) as delivered,
         sum(refunded) as refunded,
         round(sum(outlined) / nullif(sum(requests), 0), 4) as outlined_share,
         round(sum(confirmed) / nullif(sum(outlined), 0), 4) as confirmed_share,
         round(sum(delivered) / nullif(sum(confirmed), 0), 4) as delivered_share
    from daily group by day, kind;
comment on view funnel is 'from opened to delivered, by the day a request was opened; each share is of the step before';
comment on column funnel.day is 'UTC day on which the requests were opened';
comment on column funnel.kind is 'as daily.kind; carousel and again are new work, the rest are changes';
comment on column funnel.requests is 'requests opened';
comment on column funnel.outlined is 'an outline was ready';
comment on column funnel.confirmed is 'the user said: make it';
comment on column funnel.delivered is 'the album arrived';
comment on column funnel.refunded is 'nothing arrived, the credits went back';
comment on column funnel.outlined_share is 'outlined / requests';
comment on column funnel.confirmed_share is 'confirmed / outlined';
comment on column funnel.delivered_share is 'delivered / confirmed';

create view margin as
  select d.day, d.kind, d.style, d.language, d.writer, d.painter, d.delivered, d.charged, d.cost_usd,
         d.charged * p.usd_per_credit as revenue_usd, d.charged * p.usd_per_credit - d.cost_usd as margin_usd,
         d.charged * p.usd_per_credit - d.cost_charged_usd as margin_charged_usd,
         round((d.charged * p.usd_per_credit - d.cost_usd) / nullif(d.delivered, 0), 6) as margin_per_delivered_usd
    from daily d
    cross join lateral (select usd_per_credit from price where valid_from <= d.day order by valid_from desc limit 1) p;
comment on view margin is 'what came in and what went out, at the grain of daily; a credit is worth price.usd_per_credit, a gifted one too';
comment on column margin.day is 'as daily.day';
comment on column margin.kind is 'as daily.kind';
comment on column margin.style is 'as daily.style';
comment on column margin.language is 'as daily.language';
comment on column margin.writer is 'as daily.writer';
comment on column margin.painter is 'as daily.painter';
comment on column margin.delivered is 'as daily.delivered';
comment on column margin.charged is 'as daily.charged';
comment on column margin.cost_usd is 'as daily.cost_usd';
comment on column margin.revenue_usd is 'charged credits x what a credit is worth';
comment on column margin.margin_usd is 'revenue_usd - cost_usd: all costs, with free outlines, refunds and the house''s';
comment on column margin.margin_charged_usd is 'revenue_usd - cost_charged_usd: of what was sold alone; below zero is a wrong price';
comment on column margin.margin_per_delivered_usd is 'margin_usd / delivered';

create view refund as
  select day, reason, sum(requests) as requests, sum(credits) as credits
    from daily_failure where stage = 'carousel' group by day, reason;
comment on view refund is 'confirmed requests of which nothing arrived, by reason';
comment on column refund.day is 'UTC day on which the requests were opened';
comment on column refund.reason is 'as daily_failure.reason';
comment on column refund.requests is 'requests refunded';
comment on column refund.credits is 'credits given back to users';

create view money as
  select day,
         coalesce(sum(credits) filter (where debit_code like 'sales%' and credit_code = 'user_available'), 0) as sold,
         coalesce(sum(credits) filter (where debit_code = 'promo'), 0) as gifted,
         coalesce(sum(credits) filter (where debit_code = 'user_available' and credit_code = 'user_held'), 0) as held,
         coalesce(sum(credits) filter (where debit_code = 'goodwill'), 0) as held_house,
         coalesce(sum(credits) filter (where credit_code = 'revenue'), 0) as charged,
         coalesce(sum(credits) filter (where debit_code = 'user_held' and credit_code = 'user_available'), 0) as released,
         coalesce(sum(credits) filter (where credit_code = 'goodwill'), 0) as released_house,
         coalesce(sum(credits) filter (where debit_code = 'user_available' and credit_code like 'sales%'), 0) as refunded,
         coalesce(sum(credits) filter (where debit_code = 'bad_debt'), 0) as bad_debt,
         coalesce(sum(credits) filter (where credit_code = 'bad_debt'), 0) as recovered
    from daily_money group by day;
comment on view money is 'credits by the day of booking, in words; equal to the ledger to the credit';
comment on column money.day is 'UTC day of booking';
comment on column money.sold is 'sold for Stars or rubles';
comment on column money.gifted is 'given away: welcome, promo codes, referrals, operators';
comment on column money.held is 'reserved of users'' credits';
comment on column money.held_house is 'put up by the house';
comment on column money.charged is 'consumed by delivered carousels, users'' and the house''s';
comment on column money.released is 'given back to users: not delivered, or delivered in part';
comment on column money.released_house is 'given back to the house';
comment on column money.refunded is 'taken back because the payment was returned to the buyer';
comment on column money.bad_debt is 'payment returned after the credits were spent';
comment on column money.recovered is 'bad debt made good by later credits';

create view latency as
  select d.day, d.kind, d.style, d.language, d.writer, d.painter, s.step, cardinality(s.seconds) as n,
         (q.at)[1] as p50_s, (q.at)[2] as p90_s, (q.at)[3] as p95_s, (q.at)[4] as p99_s
    from daily_seconds d
    cross join lateral (values ('outline', outline_s), ('choice', choice_s), ('queue', queue_s), ('making', making_s),
                               ('sending', sending_s), ('total', total_s)) as s (step, seconds)
    cross join lateral (select percentile_cont(array[0.5, 0.9, 0.95, 0.99]) within group (order by x::double precision) as at
                          from unnest(s.seconds) x) q
   where cardinality(s.seconds) > 0;
comment on view latency is 'percentiles by step at the grain of daily; never average them: over more days take them from daily_seconds';
comment on column latency.day is 'as daily.day';
comment on column latency.kind is 'as daily.kind';
comment on column latency.style is 'as daily.style';
comment on column latency.language is 'as daily.language';
comment on column latency.writer is 'as daily.writer';
comment on column latency.painter is 'as daily.painter';
comment on column latency.step is 'outline, choice, queue, making, sending or total, see the columns of daily_seconds';
comment on column latency.n is 'durations known';
comment on column latency.p50_s is 'median, seconds';
comment on column latency.p90_s is '90th percentile, seconds';
comment on column latency.p95_s is '95th percentile, seconds';
comment on column latency.p99_s is '99th percentile, seconds';

create view active as
  select c.day,
         (select count(*) from daily_person p where p.day = c.day and p.requests > 0) as people,
         (select count(distinct p.user_id) from daily_person p where p.day between c.day - 6 and c.day and p.requests > 0) as people_7d,
         (select count(distinct p.user_id) from daily_person p where p.day between c.day - 27 and c.day and p.requests > 0) as people_28d
    from day c;
comment on view active is 'people who opened a request';
comment on column active.day is 'UTC day';
comment on column active.people is 'on the day';
comment on column active.people_7d is 'on the day or the six before';
comment on column active.people_28d is 'on the day or the 27 before';

create view retention as
  with weeks as (select distinct user_id, date_trunc('week', day)::date as week from daily_person where requests > 0),
  born as (select user_id, min(week) as cohort from weeks group by user_id),
  sizes as (select cohort, count(*) as people from born group by cohort)
  select b.cohort, ((w.week - b.cohort) / 7) as week, s.people as cohort_people, count(*) as people,
         round(count(*)::numeric / s.people, 4) as share
    from born b join weeks w using (user_id) join sizes s using (cohort)
   group by b.cohort, w.week, s.people;
comment on view retention is 'of the people who came first in a week, how many came back in a later one';
comment on column retention.cohort is 'Monday of the week of the first request (UTC)';
comment on column retention.week is 'weeks since then; 0 is the week itself';
comment on column retention.cohort_people is 'people in the cohort';
comment on column retention.people is 'of these, opened a request in that week';
comment on column retention.share is 'people / cohort_people';

-- ---------- checks: rows here are news ------------------------------------------------------------------------
-- Days that are marked are not compared: they are known to be behind. Everything else must agree with its source exactly.
create view difference as
  with settled as (select d.day from day d where not exists (select from stale_day s where s.day = d.day)),
  journal as (
    select (booked_at at time zone 'UTC')::date as day, kind, debit_code, credit_code, count(*) as transfers, sum(amount) as credits
      from source_transfer group by 1, 2, 3, 4),
  booked as (
    select day, format('%s %s > %s', kind, debit_code, credit_code) as what,
           coalesce(u.credits, 0) as usage, coalesce(j.credits, 0) as source, coalesce(u.transfers, 0) as n, coalesce(j.transfers, 0) as m
      from daily_money u full join journal j using (day, kind, debit_code, credit_code)),
  opened as (select id, (created_at at time zone 'UTC')::date as day from carousel.request),
  theirs as (
    select o.day, sum(t.amount) filter (where t.debit_code = 'user_available') as held,
           sum(t.amount) filter (where t.credit_code = 'revenue') as charged,
           sum(t.amount) filter (where t.kind = 'release' and t.credit_code = 'user_available') as released
      from opened o join source_transfer t on t.request_id = o.id group by o.day),
  counts as (select day, count(*) as requests from opened group by day),
  costs as (select o.day, sum(a.cost_usd) as cost from opened o join source_attempt a on a.request_id = o.id group by o.day),
  calls as (select (started_at at time zone 'UTC')::date as day, count(*) as calls, sum(cost_usd) as cost from source_attempt group by 1),
  ours as (
    select day, sum(requests) as requests, sum(held) as held, sum(charged + charged_house) as charged, sum(released) as released,
           sum(cost_usd) as cost from daily group by day),
  billed as (select day, sum(calls) as calls, sum(cost_usd) as cost from daily_call group by day),
  compared as (
    select day, what, usage::numeric, source::numeric from booked where (usage, n) is distinct from (source, m)
    union all
    select day, v.what, coalesce(v.usage, 0), coalesce(v.source, 0)
      from settled left join ours o using (day) left join theirs t using (day) left join counts c using (day)
      left join costs k using (day) left join calls a using (day) left join billed b using (day)
      cross join lateral (values
        ('requests', o.requests, c.requests), ('held', o.held, t.held), ('charged', o.charged, t.charged),
        ('released', o.released, t.released), ('cost of requests', o.cost, k.cost), ('calls', b.calls, a.calls),
        ('cost of calls', b.cost, a.cost)) as v (what, usage, source)
     where coalesce(v.usage, 0) <> coalesce(v.source, 0))
  select day, what, usage, source from compared where day in (select day from settled);
comment on view difference is 'where the roll-up and its sources disagree; must be empty (reads all history)';
comment on column difference.day is 'UTC day';
comment on column difference.what is 'which sum';
comment on column difference.usage is 'as rolled up';
comment on column difference.source is 'as the ledger, the requests or the calls have it';

create view missing_day as
  select c.day::date as day, s.since
    from (select min(x.day) as first from (select day from day union all select day from stale_day) x) f
    cross join generate_series(f.first, (now() at time zone 'UTC')::date - 1, interval '1 day') as c (day)
    left join day d on d.day = c.day
    left join (select day, min(since) as since from stale_day group by day) s on s.day = c.day
   where d.day is null or s.since < now() - interval '3 hours';
comment on view missing_day is 'days before today that were never built, or changed more than three hours ago and were not built again; must be empty';
comment on column missing_day.day is 'UTC day';
comment on column missing_day.since is 'when the change was noticed; null where the day was never built';

-- A picture that is bought alone is sold at about what it costs, and its second try is on us: the price list decided that.
create view unexplained_loss as
  select day, kind, style, language, writer, painter, charged, revenue_usd, revenue_usd - margin_charged_usd as cost_charged_usd,
         margin_charged_usd
    from margin where margin_charged_usd < case when kind in ('picture', 'slides') then -0.04 * charged else 0 end;
comment on view unexplained_loss is 'what was delivered and charged, and still cost more than it brought; must be empty. Refunds, gifts of the house, free work and one second try of a picture that was bought alone are explained';
comment on column unexplained_loss.day is 'as daily.day';
comment on column unexplained_loss.kind is 'as daily.kind';
comment on column unexplained_loss.style is 'as daily.style';
comment on column unexplained_loss.language is 'as daily.language';
comment on column unexplained_loss.writer is 'as daily.writer';
comment on column unexplained_loss.painter is 'as daily.painter';
comment on column unexplained_loss.charged is 'credits charged to users';
comment on column unexplained_loss.revenue_usd is 'what they brought';
comment on column unexplained_loss.cost_charged_usd is 'what the providers took for them';
comment on column unexplained_loss.margin_charged_usd is 'the loss, below zero';

-- Freshness is computed when it is asked for: a roll-up that stopped cannot report that it stopped.
create view health as
  select n.name, coalesce(r.passed and r.checked_at > now() - interval '3 hours', false) as passed,
         case when r.checked_at > now() - interval '3 hours' then r.detail
              else coalesce('not checked since ' || r.checked_at::text, 'never checked') end as detail,
         r.checked_at
    from (values ('totals'), ('present'), ('margin')) as n (name) left join check_result r using (name)
  union all
  select 'freshness', coalesce(b.at > now() - interval '3 hours', false),
         coalesce('built up to ' || b.at::text, 'never built'), now()
    from (select max(built_at) as at from day) b;
comment on view health is 'the checks as they are now, for a page of metrics: a check that did not run for three hours has failed';
comment on column health.name is 'totals, present, margin or freshness';
comment on column health.passed is 'whether all is well';
comment on column health.detail is 'one line for a person';
comment on column health.checked_at is 'when it was looked at; null where it never was';

-- ---------- who may do what ------------------------------------------------------------------------------------
revoke all on all tables in schema usage from public;
revoke all on all functions in schema usage from public;
grant usage on schema usage to led_pipeline, led_analyst, led_ops, led_bot;
grant select on all tables in schema usage to led_pipeline, led_ops;
grant insert, delete on day, daily, daily_failure, daily_seconds, daily_call, daily_money, daily_person to led_pipeline;
grant delete on stale_day to led_pipeline;
grant insert, update on check_result to led_pipeline;
grant execute on function mark_stale() to led_pipeline;
grant insert on price to led_ops;
grant select on health to led_bot;
grant select on day, stale_day, watermark, price, daily, daily_failure, daily_seconds, daily_call, daily_money, daily_person, check_result,
  funnel, margin, refund, money, latency, active, retention, difference, missing_day, unexplained_loss, health to led_analyst;

-- The analyst's part of the ledger: no payment id, no note, no message id.
set local search_path = ledger, pg_temp;
revoke select on transfer, request_event, delivery from led_analyst;
grant select (id, kind, debit_code, credit_code, user_id, request_id, epoch, amount, remainder, event_at, created_at) on transfer to led_analyst;
grant select (id, request_id, src, dst, fence, created_at) on request_event to led_analyst;
grant select (id, request_id, epoch, fence, state, charge, created_at, updated_at) on delivery to led_analyst;
reset role;
