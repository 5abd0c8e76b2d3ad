-- The logins of docker-compose.yml (carousel_pipeline/containers/databases.py). Names and verifiers are quoted into {…}.

-- name: exists
select 1 as found from pg_roles where rolname = %(login)s

-- name: create
-- Not inherited: a process asks for its role when it connects, and has nothing before.
create role {login} login noinherit

-- name: admit
alter role {login} password {verifier}

-- name: become
grant {role} to {login}

-- name: own_database
alter database {database} owner to {login}

-- name: close_database
revoke connect on database {database} from public

-- name: works
-- Somebody other than this question has asked as the bot within the last minute; its sweeper does every ten seconds.
select exists (
  select from pg_stat_activity
  where application_name = 'carousel led_bot' and query_start > clock_timestamp() - interval '60 seconds') as works
