-- A made-up past for measuring at size (carousel_pipeline/usage/history.py). Superuser only.

-- name: is_empty
select not exists (select from ledger.app_user) as empty

-- name: size
select count(*) as requests from carousel.request

-- name: patience
set statement_timeout = 0; set idle_in_transaction_session_timeout = 0

-- name: without_triggers
set local session_replication_role = replica

-- name: set_sequences
select setval(pg_get_serial_sequence(name, 'id'), top + 1) from (values
  ('ledger.app_user', (select max(id) from ledger.app_user)),
  ('ledger.request_event', (select max(id) from ledger.request_event)),
  ('ledger.transfer', (select max(id) from ledger.transfer)),
  ('ledger.delivery', (select max(id) from ledger.delivery)),
  ('carousel.attempt', (select max(id) from carousel.attempt))) as t (name, top)
 where top is not null

-- name: vacuum
vacuum (analyze) ledger.app_user, ledger.wallet, ledger.request, ledger.request_event, ledger.transfer, ledger.delivery,
  carousel.request, carousel.attempt, bot.person
