-- What a person set up once and every carousel uses: the brand; and what waits for somebody who was away.
set local role led_owner;
set local search_path = bot, carousel, ledger, pg_temp;

create table carousel.brand (
  user_id bigint constraint brand_pk primary key
    constraint brand_user_fk references ledger.app_user (id) on delete cascade,
  handle text constraint brand_handle_length check (length(handle) between 1 and 40),
  logo_key text constraint brand_logo_key_shape check (logo_key ~ '^objects/[0-9a-f]{2}/[0-9a-f]{64}\.[a-z]+$'),
  accent text constraint brand_accent_colour check (accent ~ '^#[0-9a-f]{6}$'),
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
comment on table carousel.brand is 'put on every slide of the person''s carousels; a null is simply not there';
create index brand_logo on carousel.brand (logo_key) where logo_key is not null;
create trigger t_touch before update on carousel.brand for each row execute function ledger.touch();

-- Sets the named parts, each given as a string or as null to take it away; parts that are not named stay.
create function carousel.set_brand(p_user bigint, p_parts jsonb) returns void
language sql security definer set search_path = carousel, pg_temp as $f$
  insert into carousel.brand as b (user_id, handle, logo_key, accent)
  values (p_user, p_parts ->> 'handle', p_parts ->> 'logo_key', p_parts ->> 'accent')
  on conflict on constraint brand_pk do update set
    handle = case when p_parts ? 'handle' then excluded.handle else b.handle end,
    logo_key = case when p_parts ? 'logo_key' then excluded.logo_key else b.logo_key end,
    accent = case when p_parts ? 'accent' then excluded.accent else b.accent end $f$;

-- Carousels that were finished while their person had blocked the bot: refunded then, kept since, and nobody was told.
-- Planned once a connection: by its estimates a plan for the values is better, and making one takes five times as long as the rest.
create function bot.kept_for(p_user bigint) returns setof uuid
language sql stable security definer set search_path = bot, carousel, ledger, pg_temp set plan_cache_mode = force_generic_plan as $f$
  select r.id
    from carousel.request r
    join ledger.request l on l.id = r.id and l.state = 'released'
   where r.user_id = p_user and r.created_at > clock_timestamp() - interval '30 days'
     and (select d.error from ledger.delivery d where d.request_id = r.id order by d.id desc limit 1) = 'blocked'
     and exists (select 1 from carousel.artifact a where a.request_id = r.id and a.role = 'slide')
     and not exists (select 1 from carousel.request c where c.parent_id = r.id)
   order by r.created_at desc, r.id limit 3 $f$;

revoke all on carousel.brand from public;
grant select on carousel.brand to led_bot, led_pipeline, led_ops;
grant execute on function carousel.set_brand(bigint, jsonb), bot.kept_for(bigint) to led_bot;
reset role;
