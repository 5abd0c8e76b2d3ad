"""Groups and channels: the work is done in a private chat; the bot says so when it is addressed or added, not at every post."""

from aiogram import F, Router
from aiogram.enums import ChatMemberStatus, ChatType
from aiogram.filters import Command
from aiogram.types import CallbackQuery, ChatMemberUpdated, Message, User

from bot.keyboards import COMMANDS
from bot.notices import Notices
from bot.store import Store
from bot.texts import Texts

_ELSEWHERE = frozenset({ChatType.GROUP, ChatType.SUPERGROUP, ChatType.CHANNEL})
_OUT = frozenset({ChatMemberStatus.KICKED, ChatMemberStatus.LEFT})


def setup() -> Router:
    """Return the router of chats that are not private."""
    router = Router(name="elsewhere")
    router.message.register(invite, F.chat.type.in_(_ELSEWHERE), Command(*COMMANDS))
    router.message.register(stay_silent, F.chat.type.in_(_ELSEWHERE))
    router.channel_post.register(invite, Command(*COMMANDS))
    router.channel_post.register(stay_silent)
    router.callback_query.register(point_home, F.message.chat.type.in_(_ELSEWHERE))
    router.my_chat_member.register(block, F.chat.type == ChatType.PRIVATE)
    router.my_chat_member.register(joined, F.chat.type.in_({ChatType.GROUP, ChatType.SUPERGROUP}))
    return router


async def invite(message: Message, t: Texts, me: User) -> None:
    """Point to the private chat."""
    await message.answer(t("group.hello", bot=me.username or me.first_name))


async def stay_silent(_message: Message) -> None:
    """Leave other people's talk alone."""


async def point_home(callback: CallbackQuery, t: Texts, me: User) -> None:
    """Answer a button that somebody forwarded."""
    await callback.answer(t("group.hello", bot=me.username or me.first_name), show_alert=True)


async def block(event: ChatMemberUpdated, store: Store, notices: Notices, user_id: int) -> None:
    """Note that a person blocked the bot, or came back: then offer what was finished meanwhile."""
    blocked = event.new_chat_member.status in _OUT
    await store.set_blocked(user_id, blocked=blocked)
    if not blocked:
        await notices.offer_kept(user_id)


async def joined(event: ChatMemberUpdated, t: Texts, me: User) -> None:
    """Say once what the bot is for when somebody adds it to a group."""
    if event.new_chat_member.status not in _OUT and event.old_chat_member.status in _OUT:
        await event.answer(t("group.hello", bot=me.username or me.first_name))
