-- Schema carousel as the run processes and the sensors use it (role led_pipeline).

-- What the run has to tell of its time rides on this question; alone it is not worth waiting for the disk.
-- name: load
select carousel.trace(r.id, %(run)s, %(spans)s), set_config('synchronous_commit', 'off', true), r.id, r.user_id, r.chat_id, r.kind, r.change, r.source, r.options, r.phase, r.deck, r.price,
       jsonb_build_object('handle', b.handle, 'logo_key', b.logo_key, 'accent', b.accent) as brand
  from carousel.request r left join carousel.brand b on b.user_id = r.user_id
 where r.id = %(id)s

-- name: outline_ready
select carousel.outline_ready(%(id)s, %(deck)s, %(price)s) as done, carousel.trace(%(id)s, %(run)s, %(spans)s)

-- name: outline_failed
select carousel.outline_failed(%(id)s, %(reason)s) as done

-- name: translated
select carousel.translated(%(id)s, %(deck)s) as done

-- name: report_progress
select carousel.report_progress(%(id)s, %(step)s, %(done)s, %(total)s)

-- name: artifacts
select role, position, recipe, sha256, key, content_type, bytes, width, height, meta
  from carousel.artifact where request_id = %(id)s and role = %(role)s order by position limit 10

-- name: keep_artifact
select carousel.keep_artifact(%(id)s, %(role)s, %(position)s, %(recipe)s, %(sha256)s, %(key)s, %(content_type)s, %(bytes)s,
                              %(width)s, %(height)s, %(meta)s)

-- name: album
select position, kind, message_id, file_id from carousel.album where request_id = %(id)s order by position limit 10

-- name: fail_stale_outlines
select carousel.fail_stale_outlines(%(age)s) as failed

-- Dispatch rows whose run the bot has not reported: what the sensor picks up when the bot is away.
-- name: missed_dispatches
select o.id, o.dedupe_key, o.payload ->> 'request_id' as request_id, coalesce(o.payload ->> 'job', 'carousel') as job, r.user_id
  from ledger.outbox o left join carousel.request r on r.id = (o.payload ->> 'request_id')::uuid
 where o.topic = 'dispatch' and o.done_at is null and not o.dead and o.created_at < clock_timestamp() - %(age)s::interval
 order by o.id limit %(limit)s
