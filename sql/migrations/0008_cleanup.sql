-- Forgetting: what a settled request leaves behind goes after a while; its money, its figures and its row stay, without a word.
--
-- What stays true:
-- * no row points at a deleted object, ever (the predecessor's did, M15): rows give their objects up first, in one transaction
--   with the note of what is to be deleted; objects go after, and whoever dies in between leaves the note;
-- * an object that another row still needs, or needs again, is not deleted: its key is locked while that is decided;
-- * nothing with an open hold, an open change made from it, or younger than a day is forgotten, whatever the caller asks for;
-- * ages come from rows (m28), everything here may be repeated (m29).
--
-- Errors: LC005 the request was forgotten, LC006 the object is being deleted at this moment: store it again.
set local role led_owner;
set local search_path = carousel, ledger, pg_temp;

alter table carousel.request add column forgotten_at timestamptz;
comment on column carousel.request.forgotten_at is 'when its words and files were given up; the row stays for the figures';
create index request_remembered on carousel.request (updated_at, id) where forgotten_at is null;
create index request_base on carousel.request ((change ->> 'base')) where change ? 'base';

create table carousel.doomed_object (
  key text constraint doomed_object_pk primary key,
  noted_at timestamptz not null default clock_timestamp(),
  deleting_at timestamptz,
  deleted_at timestamptz,
  constraint doomed_object_in_order check (deleted_at is null or deleting_at is not null)
);
comment on table carousel.doomed_object is 'objects that no row needs any more; a key that ends with / is all objects below it';
comment on column carousel.doomed_object.deleted_at is 'kept for a moment, so that a row that comes late does not point at what is gone';
create index doomed_object_waiting on carousel.doomed_object (key) where deleted_at is null;
create index doomed_object_deleted on carousel.doomed_object (deleted_at) where deleted_at is not null;

-- How long a stored object may wait for its row before a deletion in between would go unnoticed.
create function carousel.deletion_echo() returns interval language sql immutable as $f$ select interval '2 minutes' $f$;
create function carousel.least_age() returns interval language sql immutable as $f$ select interval '1 day' $f$;

-- One lock for who deletes a key (alone) and who points at it (together). Whoever deletes never waits, so nobody can wait crosswise.
create function carousel._key_lock(p_key text) returns bigint language sql immutable as $f$ select hashtextextended(p_key, 8) $f$;

create function carousel.point_at_object() returns trigger
language plpgsql set search_path = carousel, pg_temp as $f$
declare wanted text := to_jsonb(new) ->> tg_argv[0]; d carousel.doomed_object;
begin
  if wanted is null then return new; end if;
  perform pg_advisory_xact_lock_shared(carousel._key_lock(wanted));
  select * into d from carousel.doomed_object x where x.key = wanted;
  if not found then return new; end if;
  if d.deleting_at is not null and (d.deleted_at is null or d.deleted_at > clock_timestamp() - carousel.deletion_echo()) then
    raise exception 'object is being deleted' using errcode = 'LC006'; end if;
  delete from carousel.doomed_object x where x.key = wanted;
  return new;
end $f$;
create trigger t_point before insert or update of key on carousel.artifact
  for each row execute function carousel.point_at_object('key');
create trigger t_point before insert or update of logo_key on carousel.brand
  for each row execute function carousel.point_at_object('logo_key');

-- What was forgotten can be neither changed nor made again: its pictures and words are gone.
create function carousel.remembered_origin() returns trigger
language plpgsql set search_path = carousel, pg_temp as $f$
begin
  perform 1 from carousel.request r
   where r.id in (new.parent_id, (new.change ->> 'base')::uuid) order by r.id for key share;
  if exists (select 1 from carousel.request r
              where r.id in (new.parent_id, (new.change ->> 'base')::uuid) and r.forgotten_at is not null) then
    raise exception 'the request was forgotten' using errcode = 'LC005'; end if;
  return new;
end $f$;
create trigger t_origin before insert on carousel.request for each row
  when (new.parent_id is not null or new.change ? 'base') execute function carousel.remembered_origin();

-- Oldest first: what is settled, and since when. An outline that nobody confirmed is settled, too.
create view carousel.settled_request as
  select r.id, r.phase, r.updated_at, greatest(r.updated_at, l.updated_at) as settled_at,
         jsonb_array_length(r.deck -> 'slides') as slides, r.deck ->> 'language' as language
    from carousel.request r left join ledger.request l on l.id = r.id
   where r.forgotten_at is null
     and (r.phase in ('outlined', 'discarded', 'failed') or r.phase = 'confirmed' and l.state in ('delivered', 'released'));

-- Gives the files and the words of a settled request up. p_deck stands in for the deck: as many slides, no words. Answers
-- 'forgotten', 'open' (a hold, or a change that is made from it), 'young', 'gone' (unknown, or forgotten before).
create function carousel.forget(p_id uuid, p_deck jsonb) returns text
language plpgsql security definer set search_path = carousel, ledger, pg_temp as $f$
declare r carousel.request; money ledger.request; children jsonb;
begin
  select * into r from carousel.request where id = p_id and forgotten_at is null for update;
  if not found then return 'gone'; end if;
  select * into money from ledger.request where id = p_id for no key update;
  if r.phase = 'drafting' or money.state not in ('delivered', 'released') or (r.phase = 'confirmed' and money.id is null) then
    return 'open'; end if;
  if greatest(r.updated_at, money.updated_at) > clock_timestamp() - carousel.least_age() then return 'young'; end if;
  if exists (select 1 from carousel.request c left join ledger.request m on m.id = c.id
              where (c.parent_id = p_id or c.change ? 'base' and c.change ->> 'base' = p_id::text) and c.forgotten_at is null
                and (c.phase = 'drafting' or c.phase = 'outlined' and c.updated_at > clock_timestamp() - interval '7 days'
                     or c.phase = 'confirmed' and coalesce(m.state, '') not in ('delivered', 'released'))) then
    return 'open'; end if;
  insert into carousel.doomed_object (key)
  select distinct a.key from carousel.artifact a where a.request_id = p_id union select 'requests/' || p_id || '/'
  on conflict on constraint doomed_object_pk do nothing;
  delete from carousel.artifact where request_id = p_id;
  update carousel.request set forgotten_at = clock_timestamp(), source = '…', deck = case when r.deck is null then null else p_deck end,
         phase = case r.phase when 'outlined' then 'discarded' else r.phase end   -- its button is still in the chat
   where id = p_id;
  return 'forgotten';
end $f$;

-- Objects that no row ever named, or whose request was forgotten: notes them, returns how many.
create function carousel.doom_orphans(p_keys text[]) returns bigint
language sql security definer set search_path = carousel, pg_temp as $f$
  with noted as (
    insert into carousel.doomed_object (key)
    select k from unnest(p_keys) k
     where (k ~ '^objects/' and not exists (select 1 from carousel.artifact a where a.key = k)
            and not exists (select 1 from carousel.brand b where b.logo_key = k))
        or (k ~ '^requests/[0-9a-f-]{36}/'
            and not exists (select 1 from carousel.request r where r.id = substring(k from 10 for 36)::uuid and r.forgotten_at is null))
    on conflict on constraint doomed_object_pk do nothing returning 1)
  select count(*) from noted $f$;

-- The next keys to delete, in their order. From here on nobody can point at them until they are gone and forgotten.
create function carousel.claim_doomed(p_limit int) returns setof text
language plpgsql security definer set search_path = carousel, pg_temp as $f$
declare d carousel.doomed_object;
begin
  delete from carousel.doomed_object where deleted_at < clock_timestamp() - carousel.deletion_echo();
  for d in select * from carousel.doomed_object where deleted_at is null order by key limit p_limit loop
    -- Somebody is pointing at it at this moment: it is left for the next time.
    continue when not pg_try_advisory_xact_lock(carousel._key_lock(d.key));
    if d.deleting_at is null then
      if exists (select 1 from carousel.artifact a where a.key = d.key)
         or exists (select 1 from carousel.brand b where b.logo_key = d.key) then
        delete from carousel.doomed_object x where x.key = d.key;
        continue;
      end if;
      update carousel.doomed_object x set deleting_at = clock_timestamp() where x.key = d.key and x.deleting_at is null;
      if not found then continue; end if;     -- a row has asked for it while its lock was waited for
    end if;
    return next d.key;
  end loop;
end $f$;

create function carousel.objects_deleted(p_keys text[]) returns void
language sql security definer set search_path = carousel, pg_temp as $f$
  update carousel.doomed_object set deleted_at = clock_timestamp() where key = any (p_keys) and deleting_at is not null $f$;

-- Texts that were being collected when nobody came back for them.
create function carousel.forget_drafts(p_age interval) returns bigint
language sql security definer set search_path = bot, pg_temp as $f$
  with gone as (delete from bot.draft where received_at < clock_timestamp() - greatest(p_age, interval '1 day') returning 1)
  select count(*) from gone $f$;

revoke all on carousel.doomed_object, carousel.settled_request from public;
revoke all on function carousel.deletion_echo(), carousel.least_age(), carousel._key_lock(text), carousel.point_at_object(),
  carousel.remembered_origin(), carousel.forget(uuid, jsonb), carousel.doom_orphans(text[]), carousel.claim_doomed(int),
  carousel.objects_deleted(text[]), carousel.forget_drafts(interval) from public;
grant select on carousel.doomed_object, carousel.settled_request to led_pipeline, led_ops;
grant execute on function carousel.forget(uuid, jsonb), carousel.doom_orphans(text[]), carousel.claim_doomed(int),
  carousel.objects_deleted(text[]), carousel.forget_drafts(interval) to led_pipeline;
reset role;
