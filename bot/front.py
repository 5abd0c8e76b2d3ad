"""The conversation put together: what its handlers work with, by the name they ask for it."""

from dataclasses import dataclass, fields
from typing import Any

from aiogram import Bot

from bot.editor import Editor
from bot.files import FileSender
from bot.gallery import Gallery
from bot.handlers.outline import Reopener
from bot.handlers.slides import Answers
from bot.library import Library
from bot.metrics import Metrics
from bot.notices import Notices
from bot.progress import Board
from bot.stage import Stage
from bot.store import Pool, Store
from bot.styles import Languages, Styles, load_languages
from carousel_pipeline.artifacts import ArtifactStore
from carousel_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Front:
    """What handlers of the conversation are given; a field's name is the argument's."""

    library: Library
    notices: Notices
    editor: Editor
    reopener: Reopener
    answers: Answers
    gallery: Gallery
    file_sender: FileSender
    styles: Styles
    languages: Languages
    demo: bool
    translates: bool

    @property
    def arguments(self) -> dict[str, Any]:
        """Every field by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def open_front(
    bot: Bot,
    settings: Settings,
    pool: Pool,
    store: Store,
    stage: Stage,
    board: Board,
    styles: Styles,
    artifacts: ArtifactStore,
    metrics: Metrics,
) -> Front:
    """Return the parts of the conversation; nothing is opened that would have to be closed."""
    demo = settings.demo_providers
    library = Library(pool)
    notices = Notices(store, library, stage, styles, metrics, demo=bool(demo))
    editor = Editor(bot, store, library, stage, board, notices)
    return Front(
        library=library,
        notices=notices,
        editor=editor,
        reopener=Reopener(store, library, stage, notices),
        answers=Answers(store, stage, editor),
        gallery=Gallery(bot),
        file_sender=FileSender(bot, store, library, artifacts),
        styles=styles,
        languages=load_languages(),
        demo=bool(demo),
        # The offline writer keeps a text in its own language.
        translates="ANTHROPIC_API_KEY" not in demo,
    )
