-- What a person made and set up, for the bot (role led_bot).

-- name: open_edit
select request_id, verdict
  from bot.open_edit(%(tg)s, %(parent)s, %(key)s, %(kind)s, %(options)s, %(deck)s, %(change)s, %(price)s);

-- name: undo_target
select bot.undo_target(%(id)s) as id;

-- name: album
select position, kind, file_id from carousel.album where request_id = %(id)s order by position limit 10;

-- One page of what was delivered, newest first, of each carousel the last version; the next one begins after the last carousel of this one.
-- name: history
select c.id, c.confirmed_at as at, c.options ->> 'style' as style, c.deck #>> '{slides,0,heading}' as title,
       jsonb_array_length(c.deck -> 'slides') as slides
  from bot.card c
 where c.tg_user_id = %(tg)s and c.phase = 'confirmed' and c.money = 'delivered'
   and exists (select 1 from carousel.album a where a.request_id = c.id)
   and not exists (select 1 from carousel.request k join ledger.request l on l.id = k.id and l.state = 'delivered'
                    where k.parent_id = c.id and k.change ? 'base')
   and (%(after)s::uuid is null
        or (c.confirmed_at, c.id) < (select a.confirmed_at, a.id from bot.card a where a.id = %(after)s and a.tg_user_id = %(tg)s))
 order by c.confirmed_at desc, c.id desc limit %(limit)s;

-- name: brand
select handle, logo_key, accent from carousel.brand where user_id = %(user)s;

-- name: set_brand
select carousel.set_brand(%(user)s, %(parts)s);

-- name: kept
select bot.kept_for(%(user)s) as id;

-- What is stored of one role, with Telegram's file ids where they are known.
-- name: files
select a.position, a.key, a.content_type, a.bytes, d.file_id
  from carousel.artifact a
  left join bot.document d on d.request_id = a.request_id and d.role = a.role and d.position = a.position
 where a.request_id = %(id)s and a.role = %(role)s order by a.position limit 10;

-- name: files_put
insert into bot.document (request_id, role, position, file_id)
select %(id)s, %(role)s, sent.position, sent.file_id
  from unnest(%(positions)s::int[], %(files)s::text[]) as sent (position, file_id)
on conflict on constraint document_pk do update set file_id = excluded.file_id;

-- name: files_drop
delete from bot.document where request_id = %(id)s and role = %(role)s;

-- Providers whose breaker is open, so that nobody waits for what cannot come.
-- name: closed_providers
select provider, greatest(1, ceil(extract(epoch from opened_until - clock_timestamp()) / 60))::int as minutes
  from carousel.provider_state where opened_until > clock_timestamp() order by provider limit 5;
