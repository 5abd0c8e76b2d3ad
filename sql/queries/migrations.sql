-- What carousel_pipeline/database.py needs to know which migrations ran.

-- name: lock
-- Held until the connection closes; the number is arbitrary and ours.
select pg_advisory_lock(3394241505)

-- name: prepare
create schema if not exists migration;
create table if not exists migration.applied (
  name text constraint applied_pk primary key,
  sha256 text not null,
  applied_at timestamptz not null default clock_timestamp()
)

-- name: history
select name, sha256 from migration.applied order by name

-- name: record
insert into migration.applied (name, sha256) values (%(name)s, %(sha256)s)
