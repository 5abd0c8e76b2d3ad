-- name: figures
select name, labels, value from carousel.figures() order by name, labels::text

-- name: patience
-- The audit reads the whole journal.
set local statement_timeout = '10min'

-- name: run_audit
select violations, rules from carousel.run_audit()

-- name: ping
select 1 as answer
