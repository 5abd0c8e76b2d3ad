-- Where the time of requests went; read by roles led_pipeline and led_ops.

-- name: facts
select request_id, name, detail, run_id, slide, began_at, ended_at, outcome
  from carousel.timeline where request_id = any (%(requests)s) order by request_id, began_at, name

-- name: trace
select carousel.trace(%(id)s, %(run)s, %(spans)s)
