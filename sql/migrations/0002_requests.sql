-- What a request is made of: the user's text, the choices, the deck that was written, the pictures that were stored.
-- Money lives in schema ledger; the two meet in carousel.confirm(), which reserves credits, moves the request on and writes the
-- dispatch row in one transaction, so a crash between them cannot exist (predecessor: C12, M4).
--
-- A request's id is its Dagster partition key and, once confirmed, the id of its row in ledger.request.
--
--   open_request() -> drafting --outline_ready()--> outlined --confirm()--> confirmed
--                        |                             |  ^                    ^
--                        +--outline_failed()--> failed  |  |                    |
--                              discarded <--discard()---+  +----open_edit()-----+
--
-- Nothing edits a request: every change is a request of its own with a parent. One that needs no writer is opened with its deck
-- (open_edit): a child of an outline waits for confirm() like any outline, a child of a delivered carousel starts at once.
create schema if not exists carousel authorization led_owner;
set local role led_owner;
set local search_path = carousel, ledger, pg_temp;

create table carousel.request (
  id uuid constraint request_pk primary key default gen_random_uuid(),
  user_id bigint not null constraint request_user_fk references ledger.app_user (id) on delete restrict,
  chat_id bigint not null,
  parent_id uuid constraint request_parent_fk references carousel.request (id) on delete set null,
  client_key text not null constraint request_client_key_length check (length(client_key) between 3 and 200),
  kind text not null default 'carousel' constraint request_kind
    check (kind in ('carousel', 'again', 'text', 'picture', 'style', 'size', 'language', 'slides', 'undo')),
  change jsonb not null default '{}' constraint request_change_object check (jsonb_typeof(change) = 'object'),
  source text not null constraint request_source_length check (length(source) between 1 and 20000),
  options jsonb not null constraint request_options_object check (jsonb_typeof(options) = 'object'),
  phase text not null default 'drafting'
    constraint request_phase check (phase in ('drafting', 'outlined', 'confirmed', 'discarded', 'failed')),
  deck jsonb,
  price bigint constraint request_price_range check (price between 0 and 1000),
  failure text,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  outlined_at timestamptz,
  confirmed_at timestamptz,
  constraint request_client_key_once unique (user_id, client_key),
  constraint request_outlined_has_deck check (phase not in ('outlined', 'confirmed') or (deck is not null and price is not null)),
  constraint request_deck_size check (deck is null or jsonb_array_length(deck -> 'slides') between 1 and 10)
);
comment on column carousel.request.client_key is 'made by the bot from chat and message: a redelivered update is the same request';
comment on column carousel.request.kind is 'what was asked for: a text, another outline of it (again), or a change of the parent';
comment on column carousel.request.change is 'what is made anew and what is taken over, see carousel_pipeline/requests/change.py';
comment on column carousel.request.price is 'credits quoted with the outline; confirm() holds exactly this or asks again';
create index request_user_created on carousel.request (user_id, created_at);
create index request_drafting on carousel.request (created_at) where phase = 'drafting';
create index request_parent on carousel.request (parent_id) where parent_id is not null;

create table carousel.progress (
  request_id uuid constraint progress_pk primary key
    constraint progress_request_fk references carousel.request (id) on delete cascade,
  step text not null constraint progress_step check (step in ('queued', 'pictures', 'rendering', 'sending')),
  done int not null constraint progress_done_range check (done >= 0),
  total int not null constraint progress_total_range check (total >= done),
  updated_at timestamptz not null default clock_timestamp()
);

create table carousel.artifact (
  request_id uuid not null constraint artifact_request_fk references carousel.request (id) on delete restrict,
  role text not null constraint artifact_role check (role in ('picture', 'slide', 'pdf', 'zip')),
  position int not null constraint artifact_position_range check (position between 1 and 10),
  recipe text not null,
  sha256 text not null constraint artifact_sha256 check (sha256 ~ '^[0-9a-f]{64}$'),
  key text not null,
  content_type text not null,
  bytes bigint not null constraint artifact_bytes_range check (bytes > 0),
  width int not null constraint artifact_width_range check (width > 0),
  height int not null constraint artifact_height_range check (height > 0),
  meta jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  constraint artifact_once primary key (request_id, role, position)
);
comment on column carousel.artifact.recipe is 'hash of everything the object was made from: an equal recipe is never bought or drawn twice';
create index artifact_key on carousel.artifact (key);

create table carousel.album (
  request_id uuid not null constraint album_request_fk references carousel.request (id) on delete cascade,
  position int not null constraint album_position_range check (position between 1 and 10),
  kind text not null default 'photo' constraint album_kind check (kind in ('photo', 'document')),
  message_id bigint not null,
  file_id text not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint album_once primary key (request_id, position)
);

create trigger t_touch before update on carousel.request for each row execute function ledger.touch();
create trigger t_touch before update on carousel.progress for each row execute function ledger.touch();
create trigger t_touch before update on carousel.artifact for each row execute function ledger.touch();

create function carousel.outlines_per_day() returns bigint language sql immutable as $f$ select 40::bigint $f$;
create function carousel.edits_per_day() returns bigint language sql immutable as $f$ select 300::bigint $f$;

-- What is free is limited: calls of the writer, and changes, per user and day.
create function carousel.check_allowance(p_user bigint, p_kind text) returns void
language plpgsql set search_path = carousel, ledger, pg_temp as $f$
declare writes boolean := p_kind in ('carousel', 'again', 'language');
begin
  if exists (select 1 from ledger.app_user u where u.id = p_user and u.restricted) then
    raise exception 'user restricted' using errcode = 'LD008'; end if;
  if (select count(*) from carousel.request r where r.user_id = p_user and r.created_at > clock_timestamp() - interval '1 day'
         and (r.kind in ('carousel', 'again', 'language')) = writes)
     >= (case when writes then carousel.outlines_per_day() else carousel.edits_per_day() end) then
    raise exception 'too many today' using errcode = case when writes then 'LC001' else 'LC004' end;
  end if;
end $f$;

-- Opens a request and asks for its outline. Free, so it is limited: per user and day, and one at a time.
create function carousel.open_request(p_tg bigint, p_chat bigint, p_client_key text, p_source text, p_options jsonb,
                                      p_parent uuid default null, out request_id uuid, out created boolean)
language plpgsql security definer set search_path = carousel, ledger, pg_temp as $f$
declare uid bigint := ledger.get_or_create_user(p_tg); what text := case when p_parent is null then 'carousel' else 'again' end;
begin
  perform 1 from ledger.wallet where user_id = uid for no key update;   -- one open_request per user at a time
  select r.id into request_id from carousel.request r where r.user_id = uid and r.client_key = p_client_key;
  if found then created := false; return; end if;
  perform carousel.check_allowance(uid, what);
  if exists (select 1 from carousel.request r where r.user_id = uid and r.phase = 'drafting'
             and r.created_at > clock_timestamp() - interval '2 minutes') then
    raise exception 'an outline is being written' using errcode = 'LC002';
  end if;
  insert into carousel.request (user_id, chat_id, client_key, source, options, parent_id, kind)
  values (uid, p_chat, p_client_key, p_source, p_options, p_parent, what) returning id into request_id;
  insert into ledger.outbox (topic, dedupe_key, payload)
  values ('dispatch', 'outline:' || request_id, jsonb_build_object('request_id', request_id, 'epoch', 0, 'job', 'outline'));
  created := true;
end $f$;

-- Opens a change of p_parent with the deck it results in; no writer is asked before. Verdicts:
--   'outlined'  the parent was an outline: it gives way, and the child waits for confirm()
--   'started'   the parent was made: p_price is held (it may be 0) and the run is ordered, in this transaction
--   'already'   the same change is open, or p_client_key was used before: request_id is that one
--   'busy'      the parent is being made
--   'gone'      not this user's, or nothing that can be changed
-- Raises LD007 when credits lack, LD008 when the user is restricted, LC001 and LC004 when the day's free changes are used up.
create function carousel.open_edit(p_tg bigint, p_parent uuid, p_client_key text, p_kind text, p_options jsonb, p_deck jsonb,
                                   p_change jsonb, p_price bigint, out request_id uuid, out verdict text)
language plpgsql security definer set search_path = carousel, ledger, pg_temp as $f$
declare parent carousel.request; money text; least_price bigint := 0;
begin
  select r.* into parent from carousel.request r join ledger.app_user u on u.id = r.user_id
   where r.id = p_parent and u.tg_user_id = p_tg;
  if not found then verdict := 'gone'; return; end if;
  perform 1 from ledger.wallet where user_id = parent.user_id for no key update;
  select * into parent from carousel.request where id = p_parent for no key update;
  select l.state into money from ledger.request l where l.id = p_parent;
  select r.id into request_id from carousel.request r left join ledger.request l on l.id = r.id
   where r.user_id = parent.user_id
     and (r.client_key = p_client_key
          or r.parent_id = p_parent and (r.kind, r.options, r.deck, r.change) = (p_kind, p_options, p_deck, p_change)
             and (r.phase = 'outlined' or r.phase = 'confirmed' and l.state in ('reserved', 'running', 'rendered', 'delivery_unknown')))
   order by r.created_at desc, r.id limit 1;
  if found then verdict := 'already'; return; end if;
  if parent.phase = 'confirmed' and money not in ('delivered', 'released') then verdict := 'busy'; return; end if;
  if parent.phase not in ('outlined', 'confirmed') or p_deck is null then verdict := 'gone'; return; end if;
  -- A deck that was made and paid keeps its pictures; one whose album never arrived was not paid, and costs what it would have.
  if money = 'delivered' then least_price := sign(jsonb_array_length(coalesce(p_change -> 'pictures', '[]')));
  elsif money = 'released' then least_price := parent.price; end if;
  if p_price < least_price then raise exception 'price below %', least_price using errcode = 'LD011'; end if;
  perform carousel.check_allowance(parent.user_id, p_kind);
  insert into carousel.request (user_id, chat_id, client_key, source, options, parent_id, kind, change, deck, price, phase, outlined_at)
  values (parent.user_id, parent.chat_id, p_client_key, parent.source, p_options, p_parent, p_kind, p_change, p_deck, p_price,
          'outlined', clock_timestamp()) returning id into request_id;
  if parent.phase = 'outlined' then
    perform carousel.discard(p_tg, p_parent);
    verdict := 'outlined';
  else
    perform carousel._start(p_tg, request_id);
    verdict := 'started';
  end if;
end $f$;

-- The translator's word: the deck of a change of language, written while its run works. False when it stands there already.
create function carousel.translated(p_id uuid, p_deck jsonb) returns boolean
language sql security definer set search_path = carousel, pg_temp as $f$
  with u as (update carousel.request set deck = p_deck where id = p_id and kind = 'language' and deck is distinct from p_deck returning 1)
  select exists (select 1 from u) $f$;

create function carousel.outline_ready(p_id uuid, p_deck jsonb, p_price bigint) returns boolean
language plpgsql security definer set search_path = carousel, ledger, pg_temp as $f$
begin                                    -- false: the outline is not wanted any more, or a rerun found it ready
  update carousel.request set phase = 'outlined', deck = p_deck, price = p_price, failure = null, outlined_at = clock_timestamp()
   where id = p_id and phase in ('drafting', 'failed');
  if not found then return false; end if;
  insert into ledger.outbox (topic, dedupe_key, payload)
  values ('outline_ready', 'outline_ready:' || p_id, jsonb_build_object('request_id', p_id)) on conflict do nothing;
  return true;
end $f$;

create function carousel.outline_failed(p_id uuid, p_reason text) returns boolean
language plpgsql security definer set search_path = carousel, ledger, pg_temp as $f$
begin
  update carousel.request set phase = 'failed', failure = left(p_reason, 200) where id = p_id and phase = 'drafting';
  if not found then return false; end if;
  insert into ledger.outbox (topic, dedupe_key, payload)
  values ('outline_failed', 'outline_failed:' || p_id, jsonb_build_object('request_id', p_id, 'reason', left(p_reason, 200)))
  on conflict do nothing;
  return true;
end $f$;

-- Every state has an owner who times it out: outlines that nobody finished are failed here, by the sensor and by the bot.
create function carousel.fail_stale_outlines(p_age interval) returns bigint
language sql security definer set search_path = carousel, ledger, pg_temp as $f$
  select count(*) filter (where carousel.outline_failed(stale.id, 'timeout'))
    from (select id from carousel.request where phase = 'drafting' and created_at < clock_timestamp() - p_age
          order by created_at, id limit 100) stale $f$;

-- Hold, phase and dispatch row. What was opened with its deck has no outline run behind it: its job makes all four assets.
create function carousel._start(p_tg bigint, p_id uuid) returns void
language plpgsql set search_path = carousel, ledger, pg_temp as $f$
declare r carousel.request;
begin
  update carousel.request set phase = 'confirmed', confirmed_at = clock_timestamp() where id = p_id returning * into r;
  perform ledger.reserve(p_tg, 'confirm:' || p_id, r.price, p_id,
                         case when r.kind in ('carousel', 'again') and not r.change ? 'base' then 'carousel' else 'edit' end);
  insert into carousel.progress (request_id, step, done, total)
  values (p_id, 'queued', 0, jsonb_array_length(r.deck -> 'slides')) on conflict do nothing;
end $f$;

-- One transaction: price check, hold, phase, dispatch row. A double tap answers 'already'.
create function carousel.confirm(p_tg bigint, p_id uuid, p_price bigint) returns text
language plpgsql security definer set search_path = carousel, ledger, pg_temp as $f$
declare uid bigint; r carousel.request;
begin
  select id into uid from ledger.app_user where tg_user_id = p_tg;
  perform 1 from ledger.wallet where user_id = uid for no key update;   -- global lock order: wallet first
  select * into r from carousel.request where id = p_id and user_id = uid for no key update;
  if not found or r.phase in ('discarded', 'failed') then return 'gone'; end if;
  if r.phase = 'confirmed' then return 'already'; end if;
  if r.phase = 'drafting' then return 'not_ready'; end if;
  if r.price <> p_price then return 'price_changed'; end if;
  perform carousel._start(p_tg, p_id);
  return 'confirmed';
end $f$;

create function carousel.discard(p_tg bigint, p_id uuid) returns boolean
language sql security definer set search_path = carousel, ledger, pg_temp as $f$
  with gone as (
    update carousel.request r set phase = 'discarded' from ledger.app_user u
     where r.id = p_id and u.id = r.user_id and u.tg_user_id = p_tg and r.phase in ('drafting', 'outlined', 'failed') returning 1)
  select exists (select 1 from gone) $f$;

create function carousel.report_progress(p_id uuid, p_step text, p_done int, p_total int) returns void
language plpgsql security definer set search_path = carousel, ledger, pg_temp as $f$
begin
  insert into carousel.progress as p (request_id, step, done, total) values (p_id, p_step, p_done, p_total)
  on conflict on constraint progress_pk do update set step = excluded.step, done = excluded.done, total = excluded.total;
  perform pg_notify('progress', p_id::text);
end $f$;

-- How many confirmed requests stand before this one: 0 means it is next or already running.
-- How many of one person's carousels are made at the same time: the limit of dagster.yaml, so that both say the same.
create function carousel.runs_per_user() returns bigint language sql immutable as $f$ select 3::bigint $f$;

-- How many start before this one, if nothing else is asked for: all of the same person that were asked for earlier, and of each
-- other person as many as may still start beside what is being made for them. A rush of one counts for three at most.
create function carousel.queue_place(p_id uuid) returns bigint
language sql stable security definer set search_path = carousel, ledger, pg_temp as $f$
  with mine as (select r.id, r.user_id, r.created_at from ledger.request r where r.id = p_id and r.state = 'reserved'),
  waiting as (select other.user_id, count(*) as earlier from mine
                join ledger.request other on other.state = 'reserved' and (other.created_at, other.id) < (mine.created_at, mine.id)
               group by other.user_id),
  working as (select r.user_id, count(*) as made from ledger.request r where r.state in ('running', 'rendered') group by r.user_id)
  select coalesce(sum(case when waiting.user_id = mine.user_id then waiting.earlier
                           else least(waiting.earlier, greatest(0, carousel.runs_per_user() - coalesce(working.made, 0))) end), 0)::bigint
    from mine join waiting on true left join working on working.user_id = waiting.user_id $f$;

create function carousel.keep_artifact(p_id uuid, p_role text, p_position int, p_recipe text, p_sha256 text, p_key text,
                                       p_content_type text, p_bytes bigint, p_width int, p_height int, p_meta jsonb default '{}')
returns void language sql security definer set search_path = carousel, ledger, pg_temp as $f$
  insert into carousel.artifact as a
    (request_id, role, position, recipe, sha256, key, content_type, bytes, width, height, meta)
  values (p_id, p_role, p_position, p_recipe, p_sha256, p_key, p_content_type, p_bytes, p_width, p_height, p_meta)
  on conflict on constraint artifact_once do update
    set recipe = excluded.recipe, sha256 = excluded.sha256, key = excluded.key, content_type = excluded.content_type,
        bytes = excluded.bytes, width = excluded.width, height = excluded.height, meta = excluded.meta $f$;

create function carousel.keep_album(p_id uuid, p_kind text, p_messages bigint[], p_files text[]) returns void
language sql security definer set search_path = carousel, ledger, pg_temp as $f$
  insert into carousel.album (request_id, position, kind, message_id, file_id)
  select p_id, item.position, p_kind, item.message, item.file
    from unnest(p_messages, p_files) with ordinality as item (message, file, position)
  on conflict on constraint album_once do update
    set kind = excluded.kind, message_id = excluded.message_id, file_id = excluded.file_id $f$;

revoke all on all tables in schema carousel from public;
revoke all on all functions in schema carousel from public;
grant usage on schema carousel to led_bot, led_pipeline, led_ops;
grant select on carousel.request, carousel.progress, carousel.artifact, carousel.album to led_bot, led_pipeline, led_ops;
grant execute on function
  carousel.open_request(bigint, bigint, text, text, jsonb, uuid), carousel.confirm(bigint, uuid, bigint),
  carousel.open_edit(bigint, uuid, text, text, jsonb, jsonb, jsonb, bigint),
  carousel.discard(bigint, uuid), carousel.queue_place(uuid) to led_bot;
grant execute on function carousel.fail_stale_outlines(interval) to led_bot, led_pipeline;
grant execute on function
  carousel.outline_ready(uuid, jsonb, bigint), carousel.outline_failed(uuid, text), carousel.report_progress(uuid, text, int, int),
  carousel.keep_artifact(uuid, text, int, text, text, text, text, bigint, int, int, jsonb),
  carousel.translated(uuid, jsonb), carousel.keep_album(uuid, text, bigint[], text[]) to led_pipeline;
reset role;
