-- The ledger's calls, as carousel_pipeline/ledger makes them. What each does and answers stands beside the function in
-- sql/migrations/0001_ledger_*.sql.

-- name: claim
select fence, verdict from ledger.claim(%(id)s, %(run)s, %(lease)s)

-- name: second_life
select fence, verdict from ledger.second_life(%(id)s, %(run)s, %(lease)s)

-- name: heartbeat
select ledger.heartbeat(%(id)s, %(fence)s, %(lease)s) as alive

-- name: rendered
select ledger.rendered(%(id)s, %(fence)s) as done

-- name: delivery_begin
select delivery_id, verdict from ledger.delivery_begin(%(id)s, %(fence)s, %(charge)s, %(intent)s)

-- name: delivery_end
select ledger.delivery_end(%(delivery)s, %(outcome)s, null, %(error)s) as state

-- name: arrived
-- The album and its money in one transaction: a process that dies here leaves both behind or neither. The album comes first,
-- because carousel.confirm() locks in this order too.
select carousel.keep_album(%(id)s, %(kind)s, %(messages)s::bigint[], %(files)s::text[]),
       ledger.delivery_end(%(delivery)s, 'sent', %(messages)s::bigint[], null, null) as state

-- name: release
select ledger.release(%(id)s, %(fence)s, %(reason)s) as released

-- name: open_holds
select * from ledger.open_holds(%(grace)s, %(limit)s, %(after)s)

-- name: open_hold
select * from ledger.open_holds(p_id => %(id)s)

-- name: due
select due as id from ledger.due(%(limit)s, %(after)s)

-- name: settle_due
select ledger.settle_due(%(id)s) as verdict

-- name: outbox_done
select ledger.outbox_done(%(id)s)

-- name: prune
select ledger.prune(%(age)s, %(limit)s) as removed

-- name: ops_release
select ledger.ops_release(%(id)s, %(actor)s, %(reason)s) as released

-- name: ops_reopen
select ledger.ops_reopen(%(id)s, %(funding)s, %(actor)s, %(reason)s) as epoch

-- name: ops_resolve
select ledger.ops_resolve(%(id)s, %(got)s, %(actor)s, %(reason)s) as state

-- name: ops_grant
select ledger.promo(%(tg)s, %(credits)s, %(key)s, %(actor)s, %(reason)s) as granted

-- name: rules
select name, value, note from ledger.rule order by name limit 100

-- name: ops_rule
select ledger.ops_rule(%(rule)s, %(value)s, %(actor)s, %(reason)s) as before

-- name: ops_outbox
select ledger.ops_outbox(%(id)s, %(retry)s, %(actor)s, %(reason)s) as changed

-- name: show_request
select r.id, r.user_id, u.tg_user_id, r.kind, r.state, r.cost, r.charged, r.epoch, r.fence, r.run_id, r.lease_until, r.deadline,
       r.created_at, r.updated_at, w.available, w.held, w.debt, u.restricted
  from ledger.request r join ledger.app_user u on u.id = r.user_id join ledger.wallet w on w.user_id = r.user_id
 where r.id = %(id)s

-- name: show_transfers
select id, kind, debit_code, credit_code, amount, epoch, remainder, meta, db_user, created_at from ledger.transfer_of_hold
 where request_id = %(id)s order by id limit 200

-- name: show_deliveries
select id, epoch, fence, state, charge, message_ids, error, created_at, updated_at from ledger.delivery
 where request_id = %(id)s order by id limit 200

-- name: show_events
select id, src, dst, fence, note, db_user, created_at from ledger.request_event
 where request_id = %(id)s order by id desc limit 200

-- name: show_actions
select id, action, actor, reason, detail, db_user, created_at from ledger.ops_action
 where request_id = %(id)s order by id limit 200

-- name: violations
select rule, id, detail from ledger.invariant_violation
