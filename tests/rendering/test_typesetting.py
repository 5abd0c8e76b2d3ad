"""Lines as a typesetter would set them: fewest, even, never one word alone, signs hanging, room around a highlight."""

from collections.abc import Callable
from typing import Literal

import pytest

from carousel_pipeline.rendering import Brand, SlideLayout, canvas, layout_deck, load_style, load_styles, render_slide
from carousel_pipeline.rendering.canvas import CANVASES
from carousel_pipeline.rendering.fonts import face, shape, voice
from carousel_pipeline.rendering.lines import MARK_SIDE, Block, hang, prepare
from carousel_pipeline.rendering.regions import safe_area, words_area
from carousel_pipeline.rendering.scene import TextBox, overlap
from carousel_pipeline.rendering.text import NBSP, parse
from carousel_pipeline.requests import Deck, Ratio

DeckOf = Callable[[str], Deck]
MakeDeck = Callable[..., Deck]
PictureOf = Callable[[str, tuple[int, int]], bytes]
_INTER = load_style("swiss").fonts.body


def _block(text: str, language: str = "en", *, phrases: bool = False) -> Block:
    return prepare(parse(text), _INTER, language, "•", 1.1, phrases=phrases)


def _texts(block: Block, measure: float, *, even: bool) -> list[str]:
    lines = block.wrap(measure, "even" if even else "ragged")
    joined = ("".join(unit.text + " " * bool(unit.space) for unit in line.units) for line in lines)
    return [line.replace(NBSP, " ").strip() for line in joined]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Каждое уведомление стоит до 23 минут внимания. Положите телефон в другую комнату.", "ru"),
        ("A plan in a drawer is a wish. Put it where your eyes land every day.", "en"),
        ("大脑害怕的不是工作，而是工作的规模。每条通知会占用你二十三分钟的注意力。", "zh"),
        ("لا يخاف العقل من العمل بل من حجمه عد نفسك بدقيقتين ثم ابدأ فورا", "ar"),
    ],
)
@pytest.mark.parametrize("shape", ["even", "ragged"])
def test_no_setting_has_more_lines_than_it_needs_or_is_wider_than_its_measure(
    text: str, language: str, shape: Literal["even", "ragged"]
) -> None:
    block = _block(text, language)
    for tenths in range(90, 260, 7):
        measure = tenths / 10
        lines = block.wrap(measure, shape)
        assert len(lines) == len(block.wrap(measure, "quick"))
        assert all(line.width <= measure + 1e-6 for line in lines)
        words = [unit.text for line in lines for unit in line.units]
        assert "".join(words) == "".join(unit.text for unit in block.items[0].units)


def test_headings_are_even() -> None:
    for measure in (12.0, 14.0, 16.0):
        lines = _texts(_block("Which one of these will you try first"), measure, even=True)
        assert lines == ["Which one of these", "will you try first"]


def test_a_last_line_is_never_one_short_word_where_two_fit() -> None:
    block = _block("Willpower is a morning resource that you should spend on real work")
    for tenths in range(90, 220, 3):
        lines = _texts(block, tenths / 10, even=False)
        assert len(lines) == 1 or " " in lines[-1], lines


def test_lines_rather_end_where_the_voice_pauses() -> None:
    lines = _texts(_block("Willpower is a morning resource. Spend it on the work."), 19.5, even=False)
    assert lines == ["Willpower is a morning resource.", "Spend it on the work."]


def test_an_emoji_never_starts_a_line_of_its_own(make_deck: MakeDeck) -> None:
    deck = make_deck(
        [("Запуск за 7 дней 🔥", ""), ("Первый день 👩‍💻", "🚀 Пишем и шлём 👋🏽"), ("Конец 🙌", "")], "ru"
    )
    for style in load_styles().values():
        for slide in layout_deck(deck, style, "4:5").slides:
            for text in slide.texts:
                assert not [line for line in text.lines if line in {"🔥", "👩‍💻", "🚀", "👋🏽", "🙌"}], style.id


def test_quotation_marks_and_stops_hang_at_both_ends() -> None:
    (line,) = _block("«Понедельник»").wrap(50.0, "ragged")
    left, right = hang(line)
    assert left > 0.15
    assert right > 0.15
    (line,) = _block("Hello.").wrap(50.0, "ragged")
    assert hang(line)[0] == 0
    assert 0.05 < hang(line)[1] < 0.3
    (line,) = _block("«مرحبا»").wrap(50.0, "ragged")
    assert hang(line)[0] == 0
    assert hang(line)[1] > 0.1


def test_hanging_signs_leave_the_letters_on_one_edge(make_deck: MakeDeck) -> None:
    deck = make_deck([("a", ""), ("Heading", "Слово\n«Слово»"), ("c", "")], "ru")
    body = next(text for text in layout_deck(deck, load_style("swiss"), "4:5").slides[1].texts if text.name == "body")
    plain, quoted = body.runs[0], next(run for run in body.runs if run.y > body.runs[0].y)
    inside = quoted.x + quoted.xs[1]
    assert 0 < inside - plain.x < (quoted.xs[1] - quoted.xs[0]) * 0.6
    assert quoted.x < plain.x


def test_a_highlight_has_room_on_both_sides(make_deck: MakeDeck) -> None:
    text = "до ==середины== потом, ==конец==."
    deck = make_deck([("a", ""), ("Heading", text), ("c", "")], "ru")
    body = next(text for text in layout_deck(deck, load_style("swiss"), "4:5").slides[1].texts if text.name == "body")
    outside = [run for run in body.runs if run.ink != "mark"]
    assert len(body.marks) == 2
    for mark in body.marks:
        inside = [run for run in body.runs if run.ink == "mark" and overlap(run.bounds, mark)]
        assert min(run.bounds[0] for run in inside) - mark[0] >= MARK_SIDE * body.size * 0.9
        assert not [run for run in outside if overlap(run.bounds, mark)]


def test_serif_styles_keep_their_serifs_in_every_script() -> None:
    speaker = voice(load_style("editorial").fonts.heading, bold=False)
    for character, stem in {"ع": "NotoNaskhArabic", "ש": "NotoSerifHebrew", "क": "NotoSerifDevanagari", "ก": "NotoSerifThai",
                            "界": "NotoSerifSC-Medium"}.items():  # fmt: skip
        picked = speaker.pick(character)
        assert picked is not None
        assert picked.startswith(stem)
        assert face(picked).draws(character)
    assert not str(voice(load_style("swiss").fonts.heading, bold=False).pick("ع")).startswith("NotoNaskh")


def test_figures_of_counters_are_of_one_width(make_deck: MakeDeck) -> None:
    deck = make_deck([("a", ""), *[(f"Heading {index}", "") for index in range(8)], ("z", "")])
    for style in ("editorial", "swiss", "clean"):
        counters = [
            text.ink for slide in layout_deck(deck, load_style(style), "4:5").slides[1:9] for text in slide.texts
            if text.name.startswith("counter")
        ]  # fmt: skip
        assert len(counters) == 8
        assert max(ink[2] - ink[0] for ink in counters) - min(ink[2] - ink[0] for ink in counters) < 12


@pytest.mark.parametrize("style", load_styles())
def test_on_wide_slides_words_stand_beside_the_picture(style: str, deck_of: DeckOf) -> None:
    look = load_style(style)
    for slide in layout_deck(deck_of("ru"), look, "16:9", Brand(handle="@carousel")).slides:
        role = look.role("cover" if slide.position == 1 else "last" if slide.position == 4 else "body")
        if role.picture.place == "full":
            continue
        area = words_area(role, CANVASES["16:9"], safe_area(look, CANVASES["16:9"]))
        for text in slide.texts:
            assert not overlap(text.ink, slide.picture.box), text.name
            assert area[0] - text.size <= text.ink[0] <= text.ink[2] <= area[2] + text.size


def _inks(slide: SlideLayout) -> set[str]:
    return {text.accent for text in slide.texts} | {shape.fill for shape in slide.furniture}


@pytest.mark.parametrize("style", load_styles())
def test_a_brand_is_on_every_style_and_stays_readable(style: str, deck_of: DeckOf, picture_of: PictureOf) -> None:
    ratio: Ratio = "1:1"
    picture = picture_of("checker", canvas(ratio))
    for accent in ("#ffe600", "#101010"):
        brand = Brand(handle="@маленький_бренд", accent=accent)
        slides = layout_deck(deck_of("ru"), load_style(style), ratio, brand).slides
        handles = [text for slide in slides for text in slide.texts if text.name.startswith("handle")]
        assert handles
        assert {text.lines[0] for text in handles} == {"@маленький_бренд"}
        plain = layout_deck(deck_of("ru"), load_style(style), ratio, Brand(handle="@маленький_бренд")).slides
        assert [_inks(slide) for slide in slides] != [_inks(slide) for slide in plain]
        drawn = render_slide(slides[1], picture)
        assert drawn.contrast >= 4.5
        assert drawn.ink_inside


def test_centred_lines_are_centred_by_their_letters(make_deck: MakeDeck) -> None:
    deck = make_deck([("«Слово»", ""), ("b", ""), ("c", "")], "ru")
    heading: TextBox = layout_deck(deck, load_style("luxe"), "4:5").slides[0].texts[0]
    assert abs((heading.ink[0] + heading.ink[2]) / 2 - 540) < 8


def test_items_of_a_numbered_list_start_on_one_edge(make_deck: MakeDeck) -> None:
    deck = make_deck([("a", ""), ("Heading", "1. one\n2. one\n10. one"), ("c", "")])
    body = next(text for text in layout_deck(deck, load_style("swiss"), "4:5").slides[1].texts if text.name == "body")
    assert len({round(run.x, 3) for run in body.runs if run.ink == "text"}) == 1


def test_what_has_no_ink_at_a_line_end_does_not_hang() -> None:
    for text in ("🦙\u2007", "„\u2007", "ラ*\u202f", "\u2007word"):
        (line,) = _block(text).wrap(50.0, "ragged")
        assert all(share >= 0 for share in hang(line))


def test_a_few_highlighted_signs_are_one_highlight() -> None:
    block = _block("把最==重要事情==先完成，别等到下周一", "zh")
    for measure in (2.0, 3.0, 4.5, 5.0, 6.2):
        if not block.parts_words(measure):
            assert sum("重要事情" in line for line in _texts(block, measure, even=True)) == 1


@pytest.mark.parametrize("style", list(load_styles()))
def test_what_stands_in_a_row_shares_its_middle(style: str, deck_of: DeckOf) -> None:
    for slide in layout_deck(deck_of("en"), load_style(style), "4:5", Brand(handle="xxx")).slides:
        pills = [shape.box for shape in slide.furniture if shape.box[3] - shape.box[1] > 40]
        handle = [text for text in slide.texts if text.name.startswith("handle_top")]
        for text in handle:
            for box in pills:
                if box[3] < slide.height / 2:
                    baseline = text.runs[0].y
                    assert abs(baseline - text.size * 0.365 - (box[1] + box[3]) / 2) <= 1, (style, slide.position)


@pytest.mark.parametrize("style", list(load_styles()))
def test_ornaments_of_a_picture_stay_whole(style: str, deck_of: DeckOf) -> None:
    for ratio in CANVASES:
        for slide in layout_deck(deck_of("zh"), load_style(style), ratio).slides:
            for ornament in (*slide.back, *slide.under, *slide.over):
                if ornament.shape == "spark":
                    left, top, right, bottom = ornament.box
                    assert 0 < left < right < slide.width
                    assert 0 < top < bottom < slide.height


@pytest.mark.parametrize("style", ["night", "neon", "clean"])
def test_on_a_wide_picture_what_is_read_from_the_right_stands_there(style: str, deck_of: DeckOf) -> None:
    for language, right in (("ar", True), ("en", False)):
        cover = layout_deck(deck_of(language), load_style(style), "16:9").slides[0]
        (heading,) = [text for text in cover.texts if text.name == "heading"]
        assert (heading.ink[0] > cover.width * 0.4) is right
        assert (heading.ink[2] < cover.width * 0.6) is not right


def test_chinese_quotation_marks_are_chinese() -> None:
    for style in load_styles().values():
        for font in (style.fonts.heading, style.fonts.body):
            speaker = voice(font, bold=False)
            for text in ("先说“不”", "总说‘是’……"):
                assert len({run.face for run in shape(text, speaker, "ltr", "zh").runs}) == 1, style.id
            (run,) = shape("say “no”", speaker, "ltr", "en").runs
            assert run.face == speaker.pick("s")


def test_a_word_that_a_comma_cuts_off_does_not_stray() -> None:
    block = _block("为什么你什么都没做，却总是很累", "zh")
    for tenths in range(42, 140, 2):
        lines = _texts(block, tenths / 10, even=True)
        if max(map(len, lines)) > 4:
            assert not [line for line in lines if line.endswith("，却")], lines


def test_bullets_point_at_their_text() -> None:
    for language, pointer in (("ar", "←"), ("en", "→")):
        items = [item for item in parse("- افتح الملف" if language == "ar" else "- open") if item.kind == "bullet"]
        block = prepare(items, load_style("bold").fonts.body, language, "→", 1.1)
        (item,) = block.items
        assert item.marker is not None
        assert item.marker.runs == shape(pointer, voice(load_style("bold").fonts.body, bold=True), "ltr", language).runs


def test_a_pause_is_no_reason_for_a_hole() -> None:
    block = _block("Недосып в два часа снижает внимание на 30 %. Ложитесь в одно и то же время, даже в выходные.", "ru")
    for tenths in range(120, 200, 4):
        lines = block.wrap(tenths / 10, "ragged")
        assert min(line.width for line in lines[:-1]) > 0.55 * tenths / 10


def test_a_heading_beside_a_picture_is_no_ladder(make_deck: MakeDeck) -> None:
    for style in ("kids", "bauhaus", "gradient", "paper", "botanical"):
        copies = [
            ("How to raise your prices **without losing** clients", "A script that freelancers use"),
            ("a", ""),
            ("b", ""),
        ]
        heading = layout_deck(make_deck(copies), load_style(style), "16:9").slides[0].texts[0]
        assert len(heading.lines) <= 4, style


def test_a_cover_is_not_a_quarter_smaller_for_even_lines(make_deck: MakeDeck) -> None:
    copies = [("You sleep eight hours and the morning is still hard", "Seven reasons"), ("a", ""), ("b", "")]
    for style in ("clean", "editorial", "gradient", "luxe", "neon", "swiss"):
        heading = layout_deck(make_deck(copies), load_style(style), "16:9").slides[0].texts[0]
        assert [line.split()[0] for line in heading.lines] == ["You", "eight", "and", "is"], style


@pytest.mark.parametrize("style", load_styles())
def test_no_line_of_a_heading_ends_on_a_conjunction(style: str, make_deck: MakeDeck) -> None:
    copy = [
        ("Почему мы откладываем важное, **хотя** знаем цену", "Семь идей, чтобы начать, когда совсем нет сил"),
        ("Сохраните, чтобы не потерять", ""),
        ("Конец", ""),
    ]
    for ratio in CANVASES:
        for slide in layout_deck(make_deck(copy, "ru"), load_style(style), ratio).slides:
            ends = [line.split()[-1].lower() for text in slide.texts[:2] for line in text.lines[:-1]]
            assert not {"хотя", "чтобы", "когда", "и", "не", "мы"} & set(ends), (ratio, ends)


def test_a_phrase_may_be_a_last_line() -> None:
    for measure in (13.0, 15.0, 16.0):
        lines = _texts(_block("поставьте одну дату, но не больше", "ru"), measure, even=False)
        assert lines == ["поставьте одну дату,", "но не больше"]


def test_a_highlight_is_parted_only_where_it_must() -> None:
    lines = _texts(_block("Start with ==two minutes=="), 9.0, even=True)
    assert lines == ["Start with", "two minutes"]
