"""What the messages about a person's own things say. Pure, as `views`."""

from collections.abc import Sequence

from bot import keyboards
from bot.library import Brand, Made
from bot.styles import Styles
from bot.texts import Html, Texts
from bot.views import Screen


def history(t: Texts, page: Sequence[Made], styles: Styles, *, more: bool) -> Screen:
    """Return one page of what was made; a tap on one sends it again."""
    if not page:
        return Screen(t("history.empty"))
    rows = [
        t.count(
            "history.row",
            made.slides,
            place=place,
            title=keyboards.title_of(made),
            style=styles.name(made.style, t.locale),
            date=made.at.strftime("%d.%m"),
        )
        for place, made in enumerate(page, 1)
    ]
    text = Html("\n\n".join([t("history.title"), "\n".join(rows), t("history.hint")]))
    return Screen(text, keyboards.history(t, page, more=more))


def brand(t: Texts, own: Brand) -> Screen:
    """Return what stands on every slide, and what can be set."""
    parts = [
        t("brand.handle", handle=own.handle) if own.handle else t("brand.no_handle"),
        t("brand.logo") if own.logo_key else t("brand.no_logo"),
        t("brand.accent", colour=own.accent) if own.accent else t("brand.no_accent"),
    ]
    return Screen(Html("\n\n".join([t("brand.title"), "\n".join(parts), t("brand.rule")])), keyboards.brand(t, own))
