-- Payments, run as led_pay (the bot's payment room) and, where said, as led_pipeline or led_ops. What each answers stands beside
-- the function in sql/migrations/0007_payments.sql.

-- name: agreed
select pay.agreed(%(tg)s, %(version)s) as agreed;

-- name: agree
select pay.agree(%(tg)s, %(version)s);

-- name: star_order_open
select pay.star_order_open(%(tg)s, %(terms)s, %(pack)s, %(credits)s, %(stars)s, %(monthly)s) as id;

-- name: checkout
select verdict, locale from pay.checkout(%(order)s, %(tg)s, %(stars)s);

-- name: stars_paid
select verdict, credits
  from pay.stars_paid(%(tg)s, %(order)s, %(charge)s, %(stars)s, %(paid_at)s, %(found_by)s, %(until)s);

-- name: stars_returned
select pay.stars_returned(%(tg)s, %(charge)s, %(stars)s) as verdict;

-- name: subscription_changed
select pay.subscription_changed(%(tg)s, %(order)s, %(state)s);

-- name: rub_order_open
select order_id, idempotence_key from pay.rub_order_open(%(tg)s, %(terms)s, %(pack)s, %(credits)s, %(kopecks)s);

-- name: rub_order_named
select pay.rub_order_named(%(order)s, %(payment)s);

-- name: rub_settle
select pay.rub_settle(%(order)s, %(payment)s, %(status)s, %(kopecks)s, %(returned)s, %(paid_at)s, %(found_by)s) as verdict;

-- name: rub_open_since
select pay.rub_open_since() as since;

-- name: purchases
select number, source, pack, credits, price, paid_at, state from pay.purchases(%(tg)s, %(limit)s);

-- name: refund_begin
select pay.refund_begin(%(tg)s, %(number)s) as verdict;

-- name: refunds_again
select pay.refunds_again() as again;

-- name: receipt
select tg_user_id, user_id, locale, credits, price, available, debt, refund from pay.receipt(%(source)s, %(charge)s);

-- name: subscriptions
select order_id, charge, credits, stars, paid_until, state from pay.subscriptions(%(tg)s);

-- name: promo_redeem
select verdict, credits from pay.promo_redeem(%(tg)s, %(code)s);

-- name: referral_code
select code, friends, rewarded, reward from pay.referral_code_of(%(tg)s);

-- name: referral_reward
select verdict, tg_user_id, user_id, locale, credits, available from pay.referral_reward(%(user)s);

-- name: inbox_put
select ledger.inbox_put(%(source)s, %(key)s, %(body)s) as fresh;

-- name: inbox_claim
select id, source, body, attempts from ledger.inbox_claim(%(limit)s, %(lease)s::interval);

-- name: inbox_done
select ledger.inbox_done(%(id)s);

-- name: inbox_failed
select ledger.inbox_failed(%(id)s, %(error)s, %(retry_in)s::interval, %(attempts)s) as dead;

-- Also as led_pipeline.
-- name: cursor_at
select pay.cursor_at(%(name)s) as position;

-- Also as led_pipeline.
-- name: cursor_to
select pay.cursor_to(%(name)s, %(position)s);

-- Also as led_pipeline and led_ops.
-- name: health
select unmatched, refunds_waiting, letters_dead from pay.health();

-- As led_pipeline.
-- name: stars_audit
select n from pay.stars_audit(%(seen)s) as n order by n;

-- As led_ops.
-- name: ops_promo_code
select pay.ops_promo_code(%(code)s, %(credits)s, %(uses)s, %(expires)s, %(actor)s, %(reason)s) as made;

-- As led_ops.
-- name: ops_matched
select pay.ops_matched(%(source)s, %(charge)s, %(direction)s, %(actor)s, %(reason)s) as known;

-- As led_ops.
-- name: unmatched
select source, charge, direction, amount, reason, seen_at from pay.unmatched
 where resolved_at is null order by seen_at, charge limit 100;
