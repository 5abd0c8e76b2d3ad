"""What an operator reads: pure functions from what is known to a screen. Ids, states, figures; nobody's words."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from bot.house.callbacks import (
    DecidePerson,
    DecideRequest,
    Deed,
    Panel,
    ShowPerson,
    ShowRequest,
    StopTelling,
    Tell,
)
from bot.house.models import Brief, BroadcastDraft, BroadcastFigures, Moment, Numbers, Someone
from bot.texts import Html, Texts
from bot.views import Screen

_SETTLED: Final = frozenset({"released"})
_SHORT: Final = 8


def panel(t: Texts, numbers: Numbers) -> Screen:
    """Return today's figures."""
    values = {name: str(value) for name, value in numbers.model_dump(exclude={"cost_usd"}).items()}
    text = t("admin.panel", cost=f"{numbers.cost_usd:.2f}", **values)
    again, tell = _button(t("admin.refresh"), Panel()), _button(t("admin.broadcast"), Panel(broadcast=True))
    return Screen(text, _rows([[again, tell]]))


def person(t: Texts, tg: int, someone: Someone, requests: Sequence[Brief]) -> Screen:
    """Return a person with the last requests, and what can be decided about them."""
    marks = [t.pick("admin_mark", name) for name in ("banned", "restricted", "blocked") if getattr(someone, name)]
    text = t(
        "admin.person",
        tg=tg,
        user=someone.user_id,
        locale=someone.locale or "—",
        since=_day(someone.since),
        available=someone.available,
        held=someone.held,
        debt=someone.debt,
        requests=someone.requests,
        delivered=someone.delivered,
        marks=Html("".join(f"\n{mark}" for mark in marks)),
    )
    ban = Deed.UNBAN if someone.banned else Deed.BAN
    deeds = [
        _button(t("admin.give"), DecidePerson(deed=Deed.GIVE, tg=tg)),
        _button(t.pick("admin_deed", ban), DecidePerson(deed=ban, tg=tg)),
    ]
    found = [[_button(_line(brief), ShowRequest(id=brief.id))] for brief in requests]
    return Screen(text, _rows([*found, deeds]))


def request(t: Texts, brief: Brief, story: Sequence[Moment], dagster: str) -> Screen:
    """Return a request with its story, and what can be decided about it.

    Args:
        t: the operator's language.
        brief: the request.
        story: newest first.
        dagster: address of Dagster's pages; its runs of this request are linked.
    """
    lines = [
        t("admin.moment", time=f"{moment.at:%d.%m %H:%M:%S}", what=moment.what, detail=moment.detail or "")
        for moment in reversed(story)
    ]
    text = t(
        "admin.request",
        id=str(brief.id),
        tg=brief.tg_user_id or "—",
        state=brief.state or brief.phase,
        kind=brief.kind,
        cost=brief.cost or brief.price or 0,
        charged=brief.charged or 0,
        slides=brief.slides or 0,
        style=f"{brief.style or '—'} {brief.ratio or ''}".strip(),
        characters=brief.characters,
        failure=brief.failure or "—",
        run=brief.run_id or "—",
        link=f"{dagster}/runs?q=tag%3Acarousel%2Frequest%3D{brief.id}",
        story=Html("\n".join(lines)),
    )
    buttons = []
    if brief.state is not None and brief.state not in _SETTLED:
        buttons.append(_button(t.pick("admin_deed", Deed.REFUND), DecideRequest(deed=Deed.REFUND, id=brief.id)))
    if brief.tg_user_id is not None:
        buttons.append(_button(t("admin.who"), ShowPerson(tg=brief.tg_user_id)))
    parent = [[_button(t("admin.parent"), ShowRequest(id=brief.parent_id))]] if brief.parent_id else []
    return Screen(text, _rows([buttons, *parent] if buttons else parent))


def draft(t: Texts, written: BroadcastDraft) -> Screen:
    """Return who may hear a text, and how many they are."""
    audiences = (("all", written.everybody), ("en", written.en), ("ru", written.ru))
    buttons = [
        _button(
            t("admin.audience", who=t.pick("admin_audience", audience), number=number),
            Tell(id=written.id, audience=audience),
        )
        for audience, number in audiences
        if number
    ]
    return Screen(
        t("admin.draft"),
        _rows([*([button] for button in buttons), [_button(t("admin.discard"), StopTelling(id=written.id))]]),
    )


def telling(t: Texts, figures: BroadcastFigures) -> Screen:
    """Return how far a broadcast is; one that goes on can be stopped."""
    total = figures.waiting + figures.sent + figures.missed
    text = t(
        "admin.telling",
        state=t.pick("admin_telling", figures.state),
        sent=figures.sent,
        total=total,
        missed=figures.missed,
    )
    return Screen(
        text, _rows([[_button(t("admin.stop"), StopTelling(id=figures.id))]]) if figures.state == "sending" else None
    )


def _line(brief: Brief) -> str:
    return f"{str(brief.id)[:_SHORT]} · {brief.state or brief.phase} · {_day(brief.created_at)}"


def _day(at: datetime) -> str:
    return f"{at:%d.%m.%Y}"


def _button(text: str, data: CallbackData) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=str(text), callback_data=data.pack())


def _rows(rows: list[list[InlineKeyboardButton]]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[row for row in rows if row])
