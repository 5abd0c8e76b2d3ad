-- Calls to providers as a run process records them (role led_pipeline), and what readers ask about them.

-- name: begin
select id, verdict, wait_s from carousel.begin_attempt(%(request)s, %(run)s, %(step)s, %(slide)s, %(provider)s, %(model)s,
                                                       %(calls)s, %(day_usd)s)

-- name: end
select carousel.end_attempt(%(id)s, %(outcome)s, %(tokens_in)s, %(tokens_out)s, %(images)s, %(cost)s, %(provider_request)s,
                            %(error)s, %(health)s, %(pause)s) as done

-- name: cost
select coalesce(sum(cost_usd), 0)::float8 as usd from carousel.attempt where request_id = %(request)s

-- name: closed_providers
select provider, reason, opened_until from carousel.provider_state where opened_until > clock_timestamp() order by provider
