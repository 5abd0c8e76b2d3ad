"""Decks in several scripts and pictures that are hard on contrast, shared by the renderer's tests."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from carousel_pipeline.requests import Deck, Slide

Pictures = Callable[[str, tuple[int, int]], bytes]

_COPY: dict[str, list[tuple[str, str]]] = {
    "ru": [
        ("Как перестать откладывать **важное** на завтра", "Пять приёмов, которые работают, даже когда нет сил"),
        (
            "Начните с ==двух минут==",
            "Мозг боится не работы, а её **размера**. Обещайте 2 минуты — и продолжите.\n- откройте файл\n- напишите фразу",
        ),
        ("Уберите телефон", "Каждое уведомление стоит до 23 минут внимания. Положите телефон в другую комнату."),
        ("Сохраните, чтобы не потерять", "И отправьте другу, который ждёт «понедельника» 🙂"),
    ],
    "en": [
        ("The quiet habits of people who **finish** things", "No hacks, no apps. Seven small decisions"),
        ("Decide the night before", "Willpower is a **morning resource**.\n1. one task, not three\n2. a verb first"),
        ("Make it visible", "A plan in a drawer is a wish. Put it where your eyes land ==every day== 📌"),
        ("Which one will you try first?", "Tell me in the comments. Save this for Monday."),
    ],
    "ar": [
        ("كيف تتوقف عن تأجيل الأمور المهمة", "خمس طرق بسيطة تعمل حتى عندما لا تملك الطاقة"),
        ("ابدأ بدقيقتين فقط", "لا يخاف العقل من العمل بل من حجمه. عِد نفسك بدقيقتين (2 min).\n- افتح الملف"),
        ("اترك الهاتف", "كل إشعار يكلفك 23 دقيقة من الانتباه"),
        ("احفظ هذا المنشور", "وأرسله إلى صديق يؤجل كل شيء 🙂"),
    ],
    "zh": [
        ("如何停止拖延重要的事情", "五个即使没有精力也有效的方法"),
        ("从两分钟开始", "大脑害怕的不是工作，而是工作的**规模**。\n- 打开文件\n- 写下第一句话，“不求完美”"),
        ("把手机放远一点", "每条通知会占用你二十三分钟的注意力。"),
        ("收藏这篇，周一再看", "发给那个也总说“下周开始”的朋友 🙂"),
    ],
}


@pytest.fixture
def deck_of() -> Callable[[str], Deck]:
    """A function from a language to a four-slide deck in it."""
    return lambda language: _deck(_COPY[language], language)


@pytest.fixture
def make_deck() -> Callable[..., Deck]:
    """A function from (heading, body) pairs and a language to a deck with the right roles."""
    return _deck


def _deck(copy: list[tuple[str, str]], language: str = "en") -> Deck:
    roles = ["cover", *["body"] * (len(copy) - 2), "last"]
    slides = tuple(
        Slide.model_validate({"role": role, "heading": heading, "body": body})
        for role, (heading, body) in zip(roles, copy, strict=True)
    )
    return Deck(language=language, slides=slides)


@pytest.fixture
def picture_of() -> Pictures:
    """A function from a kind of picture and a size to JPEG bytes."""
    return _picture


def _picture(kind: str, size: tuple[int, int]) -> bytes:
    width, height = size
    random = np.random.default_rng(11)
    if kind == "noise":
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    elif kind == "checker":
        rows, columns = np.indices((height, width)) // 24
        pixels = np.repeat((((rows + columns) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    else:
        flat = {"white": (255, 255, 255), "black": (0, 0, 0), "grey": (119, 119, 119), "yellow": (255, 236, 64)}[kind]
        pixels = np.full((height, width, 3), flat, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95, subsampling=0)
    return stream.getvalue()
