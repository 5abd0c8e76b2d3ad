-- Queries of the Telegram bot, run as led_bot.

-- name: meet
select user_id, locale from bot.meet(%(tg)s, %(locale)s);

-- name: set_locale
select bot.set_locale(%(tg)s, %(locale)s);

-- name: set_blocked
select bot.set_blocked(%(user)s, %(blocked)s);

-- name: welcome
select ledger.welcome(%(tg)s) as granted;

-- name: referred
select bot.referred(%(tg)s, %(code)s) as bound;

-- name: balance
select available, held from ledger.balance(%(tg)s);

-- How an operation moved what may be spent: 1 added, -1 took, 0 neither (a charge takes what was set aside before).
-- name: statement
select s.id, s.kind, s.amount, s.created_at as at, r.deck #>> '{slides,0,heading}' as title,
       case when s.on_the_house or s.kind in ('capture', 'bad_debt') then 0
            when s.kind in ('topup', 'promo', 'promo_code', 'referral', 'release') then 1 else -1 end as direction
  from ledger.statement(%(tg)s, %(limit)s) s left join carousel.request r on r.id = s.request_id
 order by s.id desc;

-- name: fsm_set_state
insert into bot.fsm as f (bot_id, chat_id, user_id, thread_id, business_connection_id, destiny, state)
values (%(bot)s, %(chat)s, %(user)s, %(thread)s, %(business)s, %(destiny)s, %(state)s)
on conflict on constraint fsm_pk do update set state = excluded.state;

-- name: fsm_set_data
insert into bot.fsm as f (bot_id, chat_id, user_id, thread_id, business_connection_id, destiny, data)
values (%(bot)s, %(chat)s, %(user)s, %(thread)s, %(business)s, %(destiny)s, %(data)s)
on conflict on constraint fsm_pk do update set data = excluded.data;

-- name: fsm_update_data
insert into bot.fsm as f (bot_id, chat_id, user_id, thread_id, business_connection_id, destiny, data)
values (%(bot)s, %(chat)s, %(user)s, %(thread)s, %(business)s, %(destiny)s, %(data)s)
on conflict on constraint fsm_pk do update set data = f.data || excluded.data
returning data;

-- name: fsm_get
select state, data from bot.fsm
 where bot_id = %(bot)s and chat_id = %(chat)s and user_id = %(user)s and thread_id = %(thread)s
   and business_connection_id = %(business)s and destiny = %(destiny)s;

-- name: lock
select pg_advisory_lock(hashtextextended(%(key)s, 0));

-- name: unlock
select pg_advisory_unlock(hashtextextended(%(key)s, 0));

-- name: lead
select pg_try_advisory_lock(hashtextextended(%(key)s, 0)) as leads;

-- name: inbox_put
select id, verdict, wait_s from bot.inbox_put(%(bot)s, %(updates)s, %(burst)s, %(per_second)s);

-- name: inbox_next
select body, banned from bot.inbox_next(%(bot)s, %(lane)s, %(done)s, %(attempts)s);

-- name: inbox_postpone
select bot.inbox_postpone(%(bot)s, %(id)s, %(wait)s);

-- name: inbox_done
update bot.inbox set processed_at = clock_timestamp(), body = null
 where bot_id = %(bot)s and update_id = any (%(ids)s::bigint[]) and processed_at is null;

-- name: inbox_late
select lane from bot.inbox
 where bot_id = %(bot)s and processed_at is null and leased_until < clock_timestamp() - interval '1 second' and attempts < %(attempts)s
 group by lane order by min(update_id) limit %(limit)s;

-- name: inbox_forget
with full_again as (delete from bot.bucket where at < now() - interval '1 hour')
delete from bot.inbox
 where processed_at < now() - interval '2 days' or (processed_at is null and received_at < now() - interval '2 days');

-- name: draft_put
insert into bot.draft as d (chat_id, message_id, tg_user_id, body)
values (%(chat)s, %(message)s, %(tg)s, %(body)s)
on conflict on constraint draft_pk do update set body = excluded.body;

-- name: draft_edit
update bot.draft set body = %(body)s, received_at = clock_timestamp() where chat_id = %(chat)s and message_id = %(message)s
returning message_id;

-- name: draft_take
select message_id, tg_user_id, body
  from bot.draft where chat_id = %(chat)s order by message_id;

-- name: draft_drop
delete from bot.draft where chat_id = %(chat)s and message_id = any (%(messages)s::bigint[]) returning message_id;

-- name: draft_chats
select distinct chat_id from bot.draft order by chat_id limit 1000;

-- name: open_request
select request_id, created
  from bot.open_request(%(tg)s, %(chat)s, %(client_key)s, %(source)s, %(options)s, %(message)s);

-- name: open_child
select request_id, created from bot.open_child(%(tg)s, %(parent)s, %(options)s, %(message)s);

-- name: confirm
select carousel.confirm(%(tg)s, %(id)s, %(price)s) as verdict;

-- name: discard
select carousel.discard(%(tg)s, %(id)s) as discarded;

-- name: cancel
select ledger.cancel(%(tg)s, %(id)s) as verdict;

-- name: resolve
select bot.resolve(%(tg)s, %(id)s, %(got)s) as verdict;

-- name: card
select * from bot.card where id = %(id)s;

-- name: open_cards
select * from bot.card
 where tg_user_id = %(tg)s
   and (phase in ('drafting', 'outlined') and created_at > clock_timestamp() - interval '1 day'
        or phase = 'confirmed' and money in ('reserved', 'running', 'rendered'))
 order by created_at desc, id limit 10;

-- name: running_cards
select id from bot.card
 where progress_message is not null and phase = 'confirmed' and money in ('reserved', 'running', 'rendered')
   and confirmed_at > clock_timestamp() - interval '1 day'
 order by confirmed_at, id limit 1000;

-- name: queue_place
select carousel.queue_place(%(id)s) as ahead, usual.made_s, usual.pace_s from bot.usual_seconds() usual;

-- name: message_put
insert into bot.message as m (request_id, kind, chat_id, message_id) values (%(id)s, %(kind)s, %(chat)s, %(message)s)
on conflict on constraint message_pk do update set chat_id = excluded.chat_id, message_id = excluded.message_id;

-- name: message_drop
delete from bot.message where request_id = %(id)s and kind = %(kind)s returning chat_id, message_id;

-- name: outbox_claim
select id, topic, dedupe_key, payload, attempts from ledger.outbox_claim(%(topics)s::text[], %(limit)s, %(lease)s::interval);

-- name: outbox_done
select ledger.outbox_done(%(id)s);

-- name: outbox_failed
select ledger.outbox_failed(%(id)s, %(error)s, %(retry_in)s::interval, %(attempts)s);

-- name: fail_stale_outlines
select carousel.fail_stale_outlines(%(age)s::interval) as failed;

-- name: due
select due as id from ledger.due(%(limit)s, %(after)s);

-- name: settle_due
select ledger.settle_due(%(id)s) as verdict;

-- name: listen_outbox
listen outbox;

-- name: listen_progress
listen progress;

-- name: alive
select 1;
