-- What the Telegram bot must remember: people and their language, chat state, updates that were received but not yet answered,
-- texts that are still being collected, and which message shows which request.
--
-- What stays true: a wanted update is a row here before Telegram hears that it arrived (the predecessor lost whatever a crash
-- caught in memory); a person's first two messages make one person (C11); a button acts on its owner's request only (M6, m32).
create schema if not exists bot authorization led_owner;
set local role led_owner;
set local search_path = bot, carousel, ledger, pg_temp;

create table bot.person (
  user_id bigint constraint person_pk primary key
    constraint person_user_fk references ledger.app_user (id) on delete cascade,
  locale text not null constraint person_locale check (locale in ('en', 'ru')),
  blocked_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
comment on column bot.person.blocked_at is 'when Telegram last said that the person blocked the bot; null while messages arrive';

create table bot.fsm (
  bot_id bigint not null,
  chat_id bigint not null,
  user_id bigint not null,
  thread_id bigint not null default 0,
  business_connection_id text not null default '',
  destiny text not null default 'default',
  state text,
  data jsonb not null default '{}' constraint fsm_data_object check (jsonb_typeof(data) = 'object'),
  updated_at timestamptz not null default clock_timestamp(),
  constraint fsm_pk primary key (bot_id, chat_id, user_id, thread_id, business_connection_id, destiny)
);

create table bot.inbox (
  bot_id bigint not null,
  update_id bigint not null,
  body jsonb,
  received_at timestamptz not null default clock_timestamp(),
  leased_until timestamptz not null,
  attempts int not null default 1 constraint inbox_attempts_positive check (attempts > 0),
  processed_at timestamptz,
  constraint inbox_pk primary key (bot_id, update_id),
  constraint inbox_forgets check ((processed_at is null) = (body is not null))
);
comment on table bot.inbox is 'updates by id: a redelivered one is a no-op, an unanswered one is tried again; texts go as soon as they are answered';
create index inbox_open on bot.inbox (bot_id, leased_until) where processed_at is null;
create index inbox_processed on bot.inbox (processed_at) where processed_at is not null;

create table bot.draft (
  chat_id bigint not null,
  message_id bigint not null,
  tg_user_id bigint not null,
  body text not null,
  received_at timestamptz not null default clock_timestamp(),
  constraint draft_pk primary key (chat_id, message_id)
);
comment on table bot.draft is 'texts of one thought that arrived as several messages, until the pause that joins them';

create table bot.message (
  request_id uuid not null constraint message_request_fk references carousel.request (id) on delete cascade,
  kind text not null constraint message_kind check (kind in ('outline', 'progress', 'control')),
  chat_id bigint not null,
  message_id bigint not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint message_pk primary key (request_id, kind)
);

create table bot.document (
  request_id uuid not null constraint document_request_fk references carousel.request (id) on delete cascade,
  role text not null constraint document_role check (role in ('slide', 'pdf', 'zip')),
  position int not null constraint document_position_range check (position between 1 and 10),
  file_id text not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint document_pk primary key (request_id, role, position)
);
comment on table bot.document is 'Telegram''s ids of the full-quality files once sent: the second time costs no upload';

create trigger t_touch before update on bot.person for each row execute function ledger.touch();
create trigger t_touch before update on bot.fsm for each row execute function ledger.touch();

-- A person's internal id and language; the first call makes the person, however many come at once.
create function bot.meet(p_tg bigint, p_locale text, out user_id bigint, out locale text, out is_new boolean)
language plpgsql security definer set search_path = bot, ledger, pg_temp as $f$
begin
  select p.user_id, p.locale into meet.user_id, meet.locale
    from bot.person p join ledger.app_user u on u.id = p.user_id where u.tg_user_id = p_tg;
  if found then is_new := false; return; end if;
  meet.user_id := ledger.get_or_create_user(p_tg);
  insert into bot.person as p (user_id, locale) values (meet.user_id, p_locale) on conflict on constraint person_pk do nothing;
  is_new := found;
  select p.locale into meet.locale from bot.person p where p.user_id = meet.user_id;
end $f$;

create function bot.set_locale(p_tg bigint, p_locale text) returns void
language sql security definer set search_path = bot, ledger, pg_temp as $f$
  update bot.person p set locale = p_locale from ledger.app_user u where u.id = p.user_id and u.tg_user_id = p_tg $f$;

create function bot.set_blocked(p_user bigint, p_blocked boolean) returns void
language sql security definer set search_path = bot, pg_temp as $f$
  update bot.person set blocked_at = case when p_blocked then clock_timestamp() end
   where user_id = p_user and (blocked_at is not null) is distinct from p_blocked $f$;

-- Opens a request and remembers the message that will become its outline, in one transaction: the outline may be ready before
-- the bot's next statement.
create function bot.open_request(p_tg bigint, p_chat bigint, p_client_key text, p_source text, p_options jsonb, p_message bigint,
                                 p_parent uuid default null, out request_id uuid, out created boolean)
language plpgsql security definer set search_path = bot, carousel, ledger, pg_temp as $f$
begin
  select o.request_id, o.created into open_request.request_id, open_request.created
    from carousel.open_request(p_tg, p_chat, p_client_key, p_source, p_options, p_parent) o;
  if created then
    insert into bot.message (request_id, kind, chat_id, message_id) values (open_request.request_id, 'outline', p_chat, p_message);
  end if;
end $f$;

-- Another try at the same source with other choices: a request of its own with a parent, never an edit. A double tap finds the
-- child that the first tap opened.
create function bot.open_child(p_tg bigint, p_parent uuid, p_options jsonb, p_message bigint, out request_id uuid, out created boolean)
language plpgsql security definer set search_path = bot, carousel, ledger, pg_temp as $f$
declare parent carousel.request;
begin
  select r.* into parent from carousel.request r join ledger.app_user u on u.id = r.user_id
   where r.id = p_parent and u.tg_user_id = p_tg;
  if not found then created := false; return; end if;
  perform 1 from ledger.wallet w where w.user_id = parent.user_id for no key update;
  select r.id into open_child.request_id from carousel.request r
   where r.parent_id = p_parent and r.options = p_options and r.phase in ('drafting', 'outlined') order by r.created_at, r.id limit 1;
  if found then created := false; return; end if;
  select o.request_id, o.created into open_child.request_id, open_child.created
    from bot.open_request(p_tg, parent.chat_id, p_parent || ':' || (select count(*) from carousel.request r where r.parent_id = p_parent),
                          parent.source, p_options, p_message, p_parent) o;
  -- A carousel stays what it is; an outline gives way to the one that was asked for instead.
  if created and parent.phase in ('outlined', 'failed') then perform carousel.discard(p_tg, p_parent); end if;
end $f$;

-- A change of a request, see carousel.open_edit(). The outline's message goes on to the child in the same transaction.
create function bot.open_edit(p_tg bigint, p_parent uuid, p_client_key text, p_kind text, p_options jsonb, p_deck jsonb,
                              p_change jsonb, p_price bigint, out request_id uuid, out verdict text)
language plpgsql security definer set search_path = bot, carousel, ledger, pg_temp as $f$
begin
  select o.request_id, o.verdict into open_edit.request_id, open_edit.verdict
    from carousel.open_edit(p_tg, p_parent, p_client_key, p_kind, p_options, p_deck, p_change, p_price) o;
  if open_edit.verdict = 'outlined' then
    update bot.message m set request_id = open_edit.request_id where m.request_id = p_parent and m.kind = 'outline';
  end if;
end $f$;

-- What an undo goes back to: the version before this change, or before the one that an undo brought back; null when there is none.
create function bot.undo_target(p_id uuid) returns uuid
language sql stable security definer set search_path = carousel, ledger, pg_temp as $f$
  select before.id
    from carousel.request r
    join carousel.request shown on shown.id = case when r.kind = 'undo' then (r.change ->> 'base')::uuid else r.id end
    join ledger.request before on before.id = shown.parent_id
   where r.id = p_id and shown.kind not in ('carousel', 'again') and before.state = 'delivered' $f$;

-- Everything the bot shows about a request, and whose it is.
create view bot.card as
  select r.id, r.user_id, u.tg_user_id, r.chat_id, p.locale, r.parent_id, r.kind, r.change, r.phase, r.options, r.deck, r.price, r.failure,
         r.created_at, r.confirmed_at, l.state as money, l.charged, w.available, w.held,
         exists (select 1 from ledger.transfer x where x.request_id = r.id and x.epoch = l.epoch
                                                    and x.kind in ('reopen', 'second_life')) as on_the_house,
         g.step, g.done, g.total,
         m_outline.message_id as outline_message, m_progress.message_id as progress_message, m_control.message_id as control_message
    from carousel.request r
    join ledger.app_user u on u.id = r.user_id
    join ledger.wallet w on w.user_id = r.user_id
    left join bot.person p on p.user_id = r.user_id
    left join ledger.request l on l.id = r.id
    left join carousel.progress g on g.request_id = r.id
    left join bot.message m_outline on m_outline.request_id = r.id and m_outline.kind = 'outline'
    left join bot.message m_progress on m_progress.request_id = r.id and m_progress.kind = 'progress'
    left join bot.message m_control on m_control.request_id = r.id and m_control.kind = 'control';

create function bot.owns(p_tg bigint, p_id uuid) returns boolean
language sql stable security definer set search_path = carousel, ledger, pg_temp as $f$
  select exists (select 1 from carousel.request r join ledger.app_user u on u.id = r.user_id
                 where r.id = p_id and u.tg_user_id = p_tg) $f$;

-- The word of the only one who can see the chat; anybody else's word is 'gone'.
create function bot.resolve(p_tg bigint, p_id uuid, p_got boolean) returns text
language plpgsql security definer set search_path = bot, ledger, pg_temp as $f$
begin
  if not bot.owns(p_tg, p_id) then return 'gone'; end if;
  return ledger.user_resolve(p_id, p_got);
end $f$;

-- By the last fifty carousels, null until five are known: seconds in which one is made, from its first claim to its album (the
-- median), and seconds after which the next one arrives. Many are made at once, so the second is the shorter one in a rush; in a
-- calm nothing is queued, and the time between two says nothing: it counts for no more than the time in which one is made.
create function bot.usual_seconds(out made_s double precision, out pace_s double precision)
language sql stable security definer set search_path = carousel, ledger, pg_temp as $f$
  with recent as (
    select d.updated_at as at,
           extract(epoch from d.updated_at - (select min(e.created_at) from ledger.request_event e
                                               where e.request_id = d.request_id and e.dst = 'running'))::double precision as took
      from ledger.delivery d join carousel.request r on r.id = d.request_id
     where d.state = 'sent' and not r.change ? 'base' order by d.id desc limit 50),
  known as (select count(*) as n, percentile_cont(0.5) within group (order by took) as took, max(at) - min(at) as span from recent)
  select took, least(took, extract(epoch from span) / (n - 1))::double precision from known where n >= 5 $f$;

revoke all on all tables in schema bot from public;
revoke all on all functions in schema bot from public;
grant usage on schema bot to led_bot, led_ops;
grant select, insert, update, delete on bot.fsm, bot.inbox, bot.draft, bot.message, bot.document to led_bot;
grant select on bot.card to led_bot, led_ops;
grant select on bot.message to led_ops;
grant execute on function
  bot.meet(bigint, text), bot.set_locale(bigint, text), bot.set_blocked(bigint, boolean),
  bot.open_request(bigint, bigint, text, text, jsonb, bigint, uuid), bot.open_child(bigint, uuid, jsonb, bigint),
  bot.open_edit(bigint, uuid, text, text, jsonb, jsonb, jsonb, bigint), bot.undo_target(uuid),
  bot.owns(bigint, uuid), bot.resolve(bigint, uuid, boolean), bot.usual_seconds() to led_bot;
reset role;
