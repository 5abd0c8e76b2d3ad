-- What operators ask and do from a chat (role led_house), and the worker that tells everybody (role led_bot).

-- name: numbers
select * from house.numbers();

-- name: person
select * from house.person(%(tg)s);

-- name: requests_of
select * from house.requests_of(%(tg)s, %(limit)s);

-- name: requests_from
select * from house.requests_from(%(low)s, %(high)s);

-- name: story
select at, what, detail from house.story(%(id)s, %(limit)s);

-- name: grant
select house.grant_credits(%(admin)s, %(tg)s, %(credits)s, %(key)s, %(reason)s) as verdict;

-- name: refund
select house.refund(%(admin)s, %(id)s, %(reason)s) as verdict;

-- name: set_ban
select house.set_ban(%(admin)s, %(tg)s, %(banned)s, %(reason)s) as changed;

-- name: draft
select id, everybody, en, ru from house.broadcast_draft(%(admin)s, %(key)s, %(body)s);

-- name: start
select house.broadcast_start(%(admin)s, %(id)s, %(audience)s, %(reason)s, %(chat)s, %(message)s) as started;

-- name: stop
select house.broadcast_stop(%(admin)s, %(id)s) as stopped;

-- name: figures
select * from house.broadcast_figures(%(id)s);

-- name: take
select broadcast_id, user_id, tg_user_id, body from house.broadcast_take(%(limit)s);

-- name: mark
select house.broadcast_mark(%(id)s, %(user)s, %(state)s);

-- name: look
select * from house.broadcast_look();

-- name: erase
select house.erase(%(tg)s, %(actor)s, %(reason)s) as erased;
