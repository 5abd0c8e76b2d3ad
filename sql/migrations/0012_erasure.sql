-- Forgetting a person who asks for it: everything that a person wrote or that tells who it was goes, in one transaction; the books,
-- with nobody's name on them, stay. Stored pictures, slides and the logo are noted for deletion; the next cleanup deletes them.
--
-- What stays true: nobody with an open request is erased (money is being held), the decision has actor and reason, and whoever
-- writes again afterwards is a new person.
set local role led_owner;
set local search_path = house, pay, bot, carousel, ledger, pg_temp;

-- False: nobody with this id. The ledger refuses (LD004) while something is open.
create function house.erase(p_tg bigint, p_actor text, p_reason text) returns boolean
language plpgsql security definer set search_path = house, pay, bot, carousel, ledger, pg_temp as $f$
declare uid bigint; mine uuid[];
begin
  select u.id into uid from ledger.app_user u where u.tg_user_id = p_tg;
  if not found then return false; end if;
  perform 1 from ledger.wallet w where w.user_id = uid for no key update;
  update carousel.request r set phase = 'discarded' where r.user_id = uid and r.phase in ('drafting', 'outlined', 'failed');
  perform ledger.ops_erase(p_tg, p_actor, p_reason);
  select coalesce(array_agg(r.id), '{}') into mine from carousel.request r where r.user_id = uid;
  insert into carousel.doomed_object (key)
  select a.key from carousel.artifact a where a.request_id = any (mine)
  union select b.logo_key from carousel.brand b where b.user_id = uid and b.logo_key is not null
  union select 'requests/' || id || '/' from unnest(mine) id
  on conflict on constraint doomed_object_pk do nothing;
  delete from carousel.artifact a where a.request_id = any (mine);
  delete from carousel.brand b where b.user_id = uid;
  delete from carousel.album a where a.request_id = any (mine);
  update carousel.request r
     set source = '…', chat_id = 0, client_key = 'erased:' || r.id, options = '{}', failure = null, forgotten_at = clock_timestamp(),
         deck = case when r.deck is null then null else jsonb_build_object('language', r.deck ->> 'language', 'slides',
           (select jsonb_agg(jsonb_build_object('role', s.slide ->> 'role', 'heading', '…') order by s.n)
              from jsonb_array_elements(r.deck -> 'slides') with ordinality s (slide, n))) end
   where r.id = any (mine);
  delete from bot.message m where m.request_id = any (mine);
  delete from bot.document d where d.request_id = any (mine);
  delete from bot.draft d where d.tg_user_id = p_tg or d.chat_id = p_tg;
  delete from bot.fsm f where f.user_id = p_tg or f.chat_id = p_tg;
  delete from bot.inbox i where i.lane = p_tg;
  delete from bot.bucket b where b.lane = p_tg;
  delete from bot.person p where p.user_id = uid;
  delete from house.ban b where b.user_id = uid;
  delete from house.recipient r where r.user_id = uid;
  delete from pay.consent c where c.user_id = uid;
  update pay.unmatched m set tg_user_id = null where m.tg_user_id = p_tg;
  update ledger.inbox i set body = '{}'
   where i.processed_at is not null
     and p_tg::text in (i.body #>> '{message,from,id}', i.body #>> '{message,chat,id}', i.body #>> '{subscription,user,id}');
  return true;
end $f$;

grant usage on schema house to led_ops;
grant execute on function house.erase(bigint, text, text) to led_ops;
reset role;
