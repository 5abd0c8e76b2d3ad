-- What `carousel ops` reads beside the ledger's own rows (role led_ops).

-- name: content
select id, user_id, kind, parent_id, options, phase, price, failure, length(source) as characters,
       jsonb_array_length(deck -> 'slides') as slides, created_at, outlined_at, confirmed_at
  from carousel.request where id = %(id)s

-- What the user wrote and what was made of it: only when asked for.
-- name: words
select source, deck from carousel.request where id = %(id)s

-- name: album
select position, message_id from carousel.album where request_id = %(id)s order by position limit 10

-- name: second_lives
select epoch, run_id, credits, created_at from ledger.second_life_log where request_id = %(id)s order by epoch limit 200

-- name: knows
select exists (select 1 from ledger.app_user where tg_user_id = %(tg)s) as known
