-- Where a request's time goes: what its run processes and the bot did, each with its beginning and its end.
--
-- What stays true:
-- * it never stands in the way of what it tells of: a note that cannot be written is a warning in the server's log;
-- * every moment is of this server's clock: a process says how many seconds ago something was, so its own clock may be wrong;
-- * it costs no question of its own: notes ride on what a step asks anyway, and on the row that ends a message;
-- * it holds names, numbers and times, no words; it goes when its request is forgotten.
set local role led_owner;
set local search_path = carousel, ledger, pg_temp;

create table carousel.span (
  request_id uuid not null constraint span_request_fk references carousel.request (id) on delete cascade,
  run_id text not null constraint span_run_length check (length(run_id) <= 200),
  number bigint not null,
  name text not null constraint span_name check (name ~ '^[a-z_]{1,40}$'),
  slide int constraint span_slide_range check (slide between 1 and 10),
  began_at timestamptz not null,
  ended_at timestamptz,
  failed boolean not null default false,
  constraint span_once primary key (request_id, run_id, number)
);
comment on column carousel.span.run_id is 'Dagster''s run; empty for what the bot did';
comment on column carousel.span.number is 'counts what a run did; for the bot, the message''s row in ledger.outbox, 0 for the text';
comment on column carousel.span.ended_at is 'null while it goes on, and for ever when its process died';

-- p_spans: [{number, name, slide, began, ended, failed}], the times in seconds before now. What was told to have begun may be told
-- to have ended later.
create function carousel.trace(p_id uuid, p_run text, p_spans jsonb) returns void
language plpgsql security definer set search_path = carousel, pg_temp as $f$
declare here timestamptz := clock_timestamp();
begin
  if jsonb_array_length(p_spans) = 0 then return; end if;
  insert into carousel.span (request_id, run_id, number, name, slide, began_at, ended_at, failed)
  select r.id, p_run, s.number, s.name, s.slide, here - s.began * interval '1 second', here - s.ended * interval '1 second', s.failed
    from carousel.request r
   cross join jsonb_to_recordset(p_spans) s (number bigint, name text, slide int, began float8, ended float8, failed boolean)
   where r.id = p_id and r.forgotten_at is null
  on conflict on constraint span_once do update set ended_at = excluded.ended_at, failed = excluded.failed;
exception when others then
  raise warning 'timeline of request %: %', p_id, sqlerrm;
end $f$;

-- A message that was promised and is done: how long it waited, kept when the outbox has forgotten it.
create function carousel.trace_message() returns trigger
language plpgsql set search_path = carousel, pg_temp as $f$
begin
  insert into carousel.span (request_id, run_id, number, name, began_at, ended_at)
  select r.id, '', new.id,
         case when new.topic in ('outline_ready', 'outline_failed') then 'show_outline'
              when new.topic <> 'dispatch' then 'tell'
              when new.payload ->> 'job' = 'outline' then 'dispatch_outline' else 'dispatch' end,
         new.created_at, new.done_at
    from carousel.request r where r.id = (new.payload ->> 'request_id')::uuid and r.forgotten_at is null
  on conflict on constraint span_once do nothing;
  return null;
exception when others then
  raise warning 'timeline of message %: %', new.id, sqlerrm;
  return null;
end $f$;
create trigger t_trace after update of done_at on ledger.outbox for each row
  when (old.done_at is null and new.done_at is not null
        and new.topic in ('dispatch', 'outline_ready', 'outline_failed', 'delivered', 'notify_refund', 'ask_user'))
  execute function carousel.trace_message();

-- The text was received before there was a request: its messages wait as drafts until no more of them come.
create function carousel.trace_text() returns trigger
language plpgsql set search_path = carousel, bot, pg_temp as $f$
begin
  insert into carousel.span (request_id, run_id, number, name, began_at, ended_at)
  select new.id, '', 0, 'received', min(d.received_at), new.created_at from bot.draft d where d.chat_id = new.chat_id
  having min(d.received_at) is not null;
  return null;
end $f$;
create trigger t_trace after insert on carousel.request for each row
  when (new.kind = 'carousel') execute function carousel.trace_text();

create function carousel.forget_spans() returns trigger
language plpgsql set search_path = carousel, pg_temp as $f$
begin
  delete from carousel.span where request_id = new.id;
  return null;
end $f$;
create trigger t_forget_spans after update of forgotten_at on carousel.request for each row
  when (new.forgotten_at is not null) execute function carousel.forget_spans();

-- One row for everything whose time is known of a request; what carousel_pipeline/timeline makes one picture of.
create view carousel.timeline as
  select r.id as request_id, m.name, null::text as detail, '' as run_id, null::int as slide, m.at as began_at, m.at as ended_at,
         null::text as outcome
    from carousel.request r
   cross join lateral (values ('opened', r.created_at), ('outlined', r.outlined_at), ('confirmed', r.confirmed_at)) m (name, at)
   where m.at is not null
  union all
  select s.request_id, s.name, null, s.run_id, s.slide, s.began_at, s.ended_at, case when s.failed then 'failed' end
    from carousel.span s
  union all
  select a.request_id, case a.step when 'picture' then 'paint' else 'write' end, a.provider || ' ' || a.model, coalesce(a.run_id, ''),
         a.slide, a.started_at, a.ended_at, a.outcome
    from carousel.attempt a
  union all
  select e.request_id, 'state', e.dst, coalesce(substring(e.note from '^(?:second life by )?run (.+)$'), ''), null, e.created_at, e.created_at,
         case when e.dst = 'released' then case when e.note like '%: %' then 'operator' else e.note end end
    from ledger.request_event e
  union all
  select d.request_id, 'delivery', null, '', null, d.created_at, case when d.state <> 'sending' then d.updated_at end, d.state
    from ledger.delivery d
  union all
  select a.request_id, 'stored', a.role, '', a.position, a.created_at, a.created_at, null
    from carousel.artifact a;
comment on view carousel.timeline is 'what is known of a request''s time, without a word of its text; ask for one request or some';

revoke all on carousel.span, carousel.timeline from public;
revoke all on function carousel.trace(uuid, text, jsonb), carousel.trace_message(), carousel.trace_text(), carousel.forget_spans() from public;
grant select on carousel.span, carousel.timeline to led_pipeline, led_ops;
grant execute on function carousel.trace(uuid, text, jsonb) to led_pipeline;
reset role;
