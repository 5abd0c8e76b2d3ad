-- What `carousel demo` may see of a request, as the analyst: amounts and states, no Telegram id and no text.

-- name: settlement
select r.state, r.charged,
       coalesce(sum(e.amount) filter (where e.code = 'user_available'), 0)::bigint as available,
       coalesce(sum(e.amount) filter (where e.code = 'user_held'), 0)::bigint as held,
       (select coalesce(sum(a.cost_usd), 0)::float8 from carousel.attempt a where a.request_id = r.id) as cost_usd
  from ledger.request r
  left join ledger.entry e on e.user_id = r.user_id
 where r.id = %(request_id)s
 group by r.id, r.state, r.charged
