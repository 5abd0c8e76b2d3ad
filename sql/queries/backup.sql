-- Copies and their way back (carousel_pipeline/backup), as a login that may read everything.

-- name: roles
select rolname as name from pg_roles where rolname like 'led\_%' order by rolname

-- name: role
-- {name} and {role} are the same, once as a text and once as a name.
do $$ begin
  if not exists (select from pg_roles where rolname = {name}) then create role {role} nologin; end if;
  if not pg_has_role(current_user, {name}, 'member') then grant {role} to current_user; end if;
end $$

-- name: in_use
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
                  and n.nspname !~ '^pg_toast') as in_use

-- name: rows
select 'transfers' as name, count(*) as rows from ledger.transfer
union all select 'wallets', count(*) from ledger.wallet
union all select 'requests', count(*) from ledger.request
union all select 'artifacts', count(*) from carousel.artifact
union all select 'people', count(*) from ledger.app_user

-- name: violations
-- The two that ask for the time are left out: a copy is from yesterday.
select rule, id from ledger.invariant_violation where rule !~ '^I[78] ' order by rule, id limit 100

-- name: objects
select key from carousel.artifact union select logo_key from carousel.brand where logo_key is not null order by 1
