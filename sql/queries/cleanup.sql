-- Forgetting what is old (carousel_pipeline/cleanup), as role led_pipeline. What each call does stands in sql/migrations/0008_cleanup.sql.

-- name: alone
select pg_try_advisory_lock(7263529110021) as alone

-- name: now
select clock_timestamp() as now

-- name: settled
-- Old enough of its kind, or, where there are too many, simply the oldest; in the order of their own last change, which is an
-- index's, so that a page costs what is on it.
select id, phase, settled_at, slides, language from carousel.settled_request
 where updated_at < greatest(%(made_before)s::timestamptz, %(outlined_before)s::timestamptz, %(before)s::timestamptz)
   and (settled_at < case phase when 'confirmed' then %(made_before)s::timestamptz else %(outlined_before)s::timestamptz end
        or settled_at < %(before)s::timestamptz)
 order by updated_at, id limit %(limit)s

-- name: remembered
select count(*) as requests from carousel.request where forgotten_at is null

-- name: remembered_among
select id from carousel.request where id = any (%(ids)s::uuid[]) and forgotten_at is null order by id

-- name: objects_of
-- What the objects of some requests come to, those that others share among them.
select count(distinct key) as objects, coalesce(sum(bytes), 0)::bigint as bytes
  from carousel.artifact where request_id = any (%(ids)s::uuid[])

-- name: forget
select carousel.forget(%(id)s, %(deck)s) as verdict

-- name: orphans_among
-- As carousel.doom_orphans() decides, for a report.
select k as key from unnest(%(keys)s::text[]) k
 where (k ~ '^objects/' and not exists (select from carousel.artifact a where a.key = k)
        and not exists (select from carousel.brand b where b.logo_key = k))
    or (k ~ '^requests/[0-9a-f-]{36}/'
        and not exists (select from carousel.request r where r.id = substring(k from 10 for 36)::uuid and r.forgotten_at is null))
 order by k

-- name: doom_orphans
select carousel.doom_orphans(%(keys)s::text[]) as noted

-- name: claim_doomed
select claim_doomed as key from carousel.claim_doomed(%(limit)s)

-- name: waiting_objects
select count(*) as objects from carousel.doomed_object where deleted_at is null

-- name: objects_deleted
select carousel.objects_deleted(%(keys)s::text[])

-- name: forget_drafts
select carousel.forget_drafts(%(age)s) as drafts

-- name: handled_messages
select (select count(*) from ledger.outbox where done_at < clock_timestamp() - %(age)s::interval) as messages
