"""The bot put together: what exists, what runs, and in which order it stops.

Starting: pools, Telegram says who we are, then everything at once. Stopping (SIGTERM, Ctrl-C): first no more updates are taken,
then what is being handled is finished, then tasks, sessions and pools are closed: nothing is cut off, nothing is left open (M21).
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

import aiohttp
import psycopg
from aiogram import Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import PRODUCTION, TelegramAPIServer
from aiogram.enums import ParseMode
from aiogram.exceptions import AiogramError, TelegramUnauthorizedError
from aiogram.methods import (
    AnswerCallbackQuery,
    DeleteMessage,
    EditMessageMedia,
    EditMessageReplyMarkup,
    EditMessageText,
    Response,
    SendChatAction,
    SendMediaGroup,
    SendMessage,
    SendPhoto,
)
from aiogram.types import BotCommandScopeAllPrivateChats, Message, Update, User
from aiohttp import web
from psycopg_pool import PoolTimeout
from pydantic import BaseModel

from bot import handlers, keyboards
from bot.ban import open_to_all
from bot.collector import Collector
from bot.dagster_client import DagsterClient
from bot.front import open_front
from bot.health import Health, everything, serve_health, watch_lag
from bot.house.room import open_house
from bot.inbox import Inbox, RawUpdate
from bot.listener import listen
from bot.logs import about
from bot.metrics import Metrics
from bot.middlewares.human_words import HumanWordsMiddleware, answer
from bot.middlewares.person import PersonMiddleware
from bot.notices import Dispatch
from bot.outbox import Outbox
from bot.pace import PRIVATE, Rate
from bot.payments.cashier import Cashier
from bot.payments.reconciler import EVERY_S
from bot.payments.room import open_payments
from bot.polling import poll
from bot.progress import Board
from bot.sender import Sender
from bot.stage import Stage
from bot.storage import AdvisoryLocks, PostgresStorage
from bot.store import Store
from bot.styles import load_styles
from bot.sweeper import sweep_for_ever
from bot.texts import DEFAULT_LOCALE, LOCALES, Texts, locale_of, texts
from bot.throttle import Limit
from bot.webhook import answer_http, receive
from carousel_pipeline import lean
from carousel_pipeline.artifacts import ArtifactStore, open_store
from carousel_pipeline.database import async_pool
from carousel_pipeline.errors import ConfigurationError, TransientError
from carousel_pipeline.settings import Settings

_log = logging.getLogger(__name__)
Work = Callable[[], Coroutine[Any, Any, None]]
_PARALLEL: Final = 8
# Most of them wait for their chat to be free, and hold nothing else: more than one person can bring about at once.
_TOLD_AT_ONCE: Final = 64
_DRAIN_S: Final = 15.0
_BUILT_AT_START: Final[tuple[type[BaseModel], ...]] = (
    Update,
    AnswerCallbackQuery,
    DeleteMessage,
    EditMessageMedia,
    EditMessageReplyMarkup,
    EditMessageText,
    SendChatAction,
    SendMediaGroup,
    SendMessage,
    SendPhoto,
    Response[User],
    Response[Message],
    Response[Message | bool],
    Response[list[Message]],
)


@dataclass(frozen=True)
class Pace:
    """How patient the bot is; tests are less so.

    Attributes:
        pause_s: silence that ends a text of several messages.
        limit: how fast one person may be.
        sweep_s: seconds between two looks of the sweeper.
        reconcile_s: seconds between two looks at what providers say was paid.
        private: how fast the bot writes in one private chat.
    """

    pause_s: float = 1.0
    limit: Limit = field(default_factory=Limit)
    sweep_s: float = 10.0
    reconcile_s: float = EVERY_S
    private: Rate = PRIVATE


class App:
    """A running bot.

    Attributes:
        bot: aiogram's client.
        inbox: the way in.
    """

    def __init__(
        self,
        bot: Bot,
        dispatcher: Dispatcher,
        store: Store,
        cashier: Cashier,
        locks: AdvisoryLocks,
        sender: Sender,
        limit: Limit,
        metrics: Metrics,
    ) -> None:
        self.bot = bot
        self._metrics = metrics
        self._dispatcher = dispatcher
        self.inbox = Inbox(bot.id, store, cashier, locks, limit, self._handle, self._refuse, sender.wait_of, _PARALLEL)
        self.tasks: dict[str, Work] = {}

    async def _handle(self, raw: RawUpdate, banned: bool) -> None:  # noqa: FBT001 (called by the inbox only)
        with about("update", raw.get("update_id")), self._metrics.update_seconds.time():
            update = Update.model_validate(raw, context={"bot": self.bot})
            if banned and not open_to_all(update):
                await answer(update, self.bot, _guess(update)("refusal.banned"))
            else:
                await self._dispatcher.feed_update(self.bot, update)

    async def _refuse(self, raw: RawUpdate) -> None:
        update = Update.model_validate(raw, context={"bot": self.bot})
        await answer(update, self.bot, _guess(update)("throttle.wait"))

    async def run(self) -> None:
        """Work until cancelled, or until one of the parts fails for good.

        Raises:
            ConfigurationError: Telegram does not know the token.
            SecondPollerError: another process polls.
        """
        async with asyncio.TaskGroup() as group:
            for name, work in self.tasks.items():
                group.create_task(work(), name=name)


def check(settings: Settings) -> tuple[str, str, str, str]:
    """Return token, database, Dagster and artifacts addresses, or say which setting is missing."""
    settings.refuse_demo_for_real_users()
    values = {
        "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token and settings.telegram_bot_token.get_secret_value(),
        "DATABASE_URL": settings.database_url and settings.database_url.get_secret_value(),
        "DAGSTER_GRAPHQL_URL": settings.dagster_graphql_url,
        "ARTIFACTS_URL": settings.artifacts_url,
    }
    if missing := [name for name, value in values.items() if not value]:
        raise ConfigurationError(f"the bot needs {' and '.join(missing)}; `carousel up` sets them by itself")
    token, database, dagster, artifacts = (value or "" for value in values.values())
    return token, database, dagster, artifacts


@asynccontextmanager
async def build(settings: Settings, pace: Pace = Pace()) -> AsyncIterator[App]:
    """Open everything the bot needs; closed again in the right order.

    Raises:
        ConfigurationError: a setting is missing, or Telegram does not know the token.
    """
    token, database, dagster_url, artifacts_url = check(settings)
    lean.build(_BUILT_AT_START)
    sender = Sender(pace.private)
    session = AiohttpSession(
        api=TelegramAPIServer.from_base(settings.telegram_api_url) if settings.telegram_api_url else PRODUCTION
    )
    session.middleware(sender)
    bot = Bot(
        token, session=session, default=DefaultBotProperties(parse_mode=ParseMode.HTML, link_preview_is_disabled=True)
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(session.close)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        pool = await stack.enter_async_context(async_pool(database, "led_bot", max_size=_PARALLEL))
        # One connection for every person served at once, one for the sweeper, one for a broadcast; nothing else may take one.
        locks = await stack.enter_async_context(async_pool(database, "led_bot", max_size=_PARALLEL + 2))
        me = await _introduce(bot, polls=not settings.telegram_webhook_url)

        store, storage, styles = Store(pool), PostgresStorage(pool), load_styles()
        payments = await stack.enter_async_context(open_payments(bot, me, settings, http, store, pace.reconcile_s))
        stage = Stage(bot, store)
        house = await stack.enter_async_context(open_house(bot, settings, store, stage, pool, AdvisoryLocks(locks)))
        board = Board(store, stage, sender)
        metrics = Metrics()
        artifacts = await _storage(artifacts_url)
        front = open_front(bot, settings, pool, store, stage, board, styles, artifacts, metrics)
        collector = Collector(bot.id, store, front.library, stage, storage, styles, pace.pause_s)
        dispatcher = _dispatcher(store, storage)
        dispatcher.workflow_data.update(
            store=store,
            stage=stage,
            board=board,
            collector=collector,
            me=me,
            **front.arguments,
            desk=payments.desk,
            house=house.house,
            broadcaster=house.broadcaster,
        )
        app = App(bot, dispatcher, store, payments.cashier, AdvisoryLocks(locks), sender, pace.limit, metrics)
        dispatch = Dispatch(store, DagsterClient(http, dagster_url))
        runs = Outbox(store, {"dispatch": dispatch.run}, lease=timedelta(seconds=45), parallel=4)
        chats = Outbox(
            store, {**front.notices.works, **payments.works}, lease=timedelta(minutes=5), parallel=_TOLD_AT_ONCE
        )

        def hear_outbox(topic: str) -> None:
            runs.hint(topic)
            chats.hint(topic)

        try:
            await collector.resume()
            await board.resume()
        except (psycopg.OperationalError, PoolTimeout):
            raise ConfigurationError("the database does not answer: check DATABASE_URL") from None
        except psycopg.ProgrammingError:
            raise ConfigurationError("the database lacks what the bot needs: run `carousel migrate`") from None
        app.tasks = {
            "listener": partial(listen, database, {"outbox": hear_outbox, "progress": board.hint}),
            "runs": runs.run,
            "chats": chats.run,
            "sweeper": partial(sweep_for_ever, locks, store, pace.sweep_s),
            **payments.tasks,
            "broadcasts": house.broadcaster.run,
            "late": app.inbox.look_after_late,
            **_ways_in(settings, bot, app.inbox, payments.routes),
            "lag": partial(watch_lag, metrics),
        }
        if settings.health_address:
            health = Health(everything(store.ping, http, dagster_url, bot, artifacts), store.figures, metrics)
            app.tasks["health"] = partial(serve_health, health, settings.health_address)
        try:
            yield app
        finally:
            for part in (app.inbox, payments, house.broadcaster, collector, board, runs, chats, front.file_sender):
                await _within(_DRAIN_S, part.drain())


async def serve(settings: Settings) -> None:
    """Run the bot until SIGTERM or Ctrl-C.

    Raises:
        ConfigurationError: a setting is missing or wrong.
        SecondPollerError: another process polls with the same token.
    """
    async with build(settings) as app:
        work = asyncio.create_task(app.run(), name="bot")
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, work.cancel)
        _log.info("the bot listens")
        try:
            await work
        except asyncio.CancelledError:
            _log.info("stopping: finishing what has begun")
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None


def _ways_in(settings: Settings, bot: Bot, inbox: Inbox, others: Sequence[web.RouteDef]) -> dict[str, Work]:
    url, secret, address = settings.telegram_webhook_url, settings.telegram_webhook_secret, settings.webhook_address
    if url and secret:
        words = {"url": url, "secret": secret.get_secret_value()}
        return {"webhook": partial(receive, bot, inbox, **words, others=others, address=address)}
    polling: dict[str, Work] = {"poll": partial(poll, bot, inbox)}
    return polling | {"http": partial(answer_http, others, address)} if others else polling


async def _storage(url: str) -> ArtifactStore:
    store = open_store(url)
    try:
        await asyncio.to_thread(store.check)
    except TransientError as error:
        # Files are one button of many: the bot works without, and with them once the storage answers.
        _log.warning("%s", error)
    return store


def _guess(update: Update) -> Texts:
    user = getattr(update.event, "from_user", None)
    return texts(locale_of(user.language_code if user else None))


def _dispatcher(store: Store, storage: PostgresStorage) -> Dispatcher:
    # The inbox keeps two updates of a person apart, so aiogram's own isolation is off.
    dispatcher = Dispatcher(storage=storage, disable_fsm=True)
    # Whoever writes is found first, and words for every failure.
    for middleware in (PersonMiddleware(store), HumanWordsMiddleware(), dispatcher.fsm):
        dispatcher.update.outer_middleware(middleware)
    dispatcher.include_router(handlers.setup())
    return dispatcher


async def _introduce(bot: Bot, *, polls: bool) -> User:
    for attempt in range(1, 31):
        try:
            me = await bot.me()
            if polls:
                await bot.delete_webhook()
            for locale in LOCALES:
                commands = keyboards.commands(texts(locale))
                # Telegram shows the commands without a language to everybody whose language has none of its own.
                for code in (locale, None) if locale == DEFAULT_LOCALE else (locale,):
                    await bot.set_my_commands(commands, BotCommandScopeAllPrivateChats(), language_code=code)
                    await _describe(bot, texts(locale), code)
        except TelegramUnauthorizedError:
            raise ConfigurationError(
                "TELEGRAM_BOT_TOKEN is not known to Telegram: get a new one from @BotFather"
            ) from None
        except AiogramError as error:
            _log.warning("Telegram does not answer (%s), try %s", type(error).__name__, attempt)
            await asyncio.sleep(1.0)
        else:
            return me
    raise ConfigurationError("Telegram does not answer: check TELEGRAM_API_URL and the network")


async def _describe(bot: Bot, t: Texts, code: str | None) -> None:
    """Say what the bot is for where it says something else: Telegram limits how often a bot may change it."""
    try:
        if (await bot.get_my_description(language_code=code)).description != t("about.long"):
            await bot.set_my_description(t("about.long"), language_code=code)
        if (await bot.get_my_short_description(language_code=code)).short_description != t("about.short"):
            await bot.set_my_short_description(t("about.short"), language_code=code)
    except AiogramError as error:
        _log.warning("the bot's description stays as it was: %s", type(error).__name__)


async def _within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        _log.warning("something did not finish in %.0f s; what is stored is taken up after the next start", seconds)
