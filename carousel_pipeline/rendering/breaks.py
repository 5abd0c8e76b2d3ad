"""Where a line may end. UAX #14 for the scripts the fonts cover, typographic where the standard leaves a choice. Pure.

Words of simple scripts cost one regex match: uniseg, which is complete, takes 24 ms for 190 characters, a whole slide's budget.
Tests hold this module against uniseg: it may refuse a break that the standard allows, never the other way round. Thai has no
spaces, so its words come from budoux.
"""

from functools import cache, lru_cache

import budoux
import pyphen  # type: ignore[import-untyped]  # the library ships no types
import regex

_WORD = regex.compile(r"[^ \n]+ *")
_UNBREAKABLE = regex.compile(
    r"[\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{Devanagari}\p{M}0-9!\"#$%&'()*+,.:;<=>@\[\\\]^_`{|}~«»„“”‘’…№\u00a0\u200d\u200c]*"  # noqa: RUF001  # real quotation marks
)
_CLASSES = regex.compile(
    r"(?P<emoji>[\p{lb=EB}\p{lb=EM}\p{lb=RI}\p{Emoji_Presentation}])"
    r"|(?P<han>[\p{lb=ID}\p{lb=H2}\p{lb=H3}])"
    r"|(?P<thai>\p{lb=SA})"
    r"|(?P<open>[\p{lb=OP}\p{Pi}])"
    r"|(?P<close>[\p{lb=CL}\p{lb=CP}\p{lb=EX}\p{lb=IS}\p{lb=NS}\p{lb=CJ}\p{lb=IN}\p{Pf}])"
    r"|(?P<hyphen>[\p{lb=HY}\u2010])"
    r"|(?P<dash>[\p{lb=B2}\u2013])"
    r"|(?P<slash>\p{lb=SY})"
    r"|(?P<glue>[\p{lb=GL}\p{lb=WJ}\p{lb=QU}])"
    r"|(?P<other>.)",
    regex.DOTALL,
)
# They belong to what stands before them, though the model sometimes starts a phrase with one.
_PARTICLES = frozenset("的了吗呢吧啊们")
# A number and what it counts, as one says them: "two minutes" never parts.
_COUNTED = regex.compile(
    r"(?:[0-9]+|[一二两三四五六七八九十百千万亿几半]+)(?:分钟|小时|个月|[分秒年月日天周个次种条点步项位句倍元块岁页]|時間|分間|[つ回人])"
)
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_GRAPHEME = regex.compile(r"\X")
_LONG_WORD = 13
_LETTERS = 2


def opportunities(text: str, *, phrases: bool = False) -> list[int]:
    """Return the offsets in one paragraph at which a next line may start, its end included, in order.

    Chinese and Japanese may part almost anywhere; with `phrases` they part only between phrases, as headings should.
    """
    found: list[int] = []
    for match in _WORD.finditer(text):
        word = match[0]
        if not _UNBREAKABLE.fullmatch(word.rstrip(" ")):
            start = match.start()
            found.extend(start + offset for offset in _inside(word.rstrip(" "), phrases=phrases))
        found.append(match.end())
    return found


@lru_cache(maxsize=8192)
def _inside(word: str, *, phrases: bool) -> tuple[int, ...]:
    clusters = [(match.start(), match[0]) for match in _GRAPHEME.finditer(word)]
    kinds = [_kind(cluster) for _, cluster in clusters]
    thai = _thai_breaks(word) if "thai" in kinds else frozenset()
    long = len(word) >= _LONG_WORD
    found = [clusters[index][0] for index in range(1, len(clusters)) if _may_break(kinds, clusters, index, long=long)]
    if phrases and "han" in kinds:
        kept = _phrase_starts(word)
        found = [offset for offset in found if offset in kept]
    if "han" in kinds:
        kept_whole = [match.span() for match in _COUNTED.finditer(word)]
        found = [offset for offset in found if not any(start < offset < end for start, end in kept_whole)]
    return tuple(sorted({*found, *thai}))


def _kind(cluster: str) -> str:
    match = _CLASSES.match(cluster)
    return (match.lastgroup if match else None) or "other"


def _may_break(kinds: list[str], clusters: list[tuple[int, str]], index: int, *, long: bool) -> bool:
    before, after = kinds[index - 1], kinds[index]
    if after in {"close", "glue", "hyphen", "slash", "emoji"} or before in {"open", "glue"}:
        return False  # an emoji belongs to what it follows, also to another one
    if before == "hyphen":
        # "-5", "--flag" and short compounds stay whole; a long compound may part after two letters.
        lettered = index >= _LETTERS + 1 and kinds[index - 2] == "other" and kinds[index - 3] == "other"
        return long and lettered and after == "other" and not clusters[index][1][0].isdigit()
    if before == "slash":
        return long and after == "other" and not clusters[index][1][0].isdigit()
    if before == "dash":
        return (
            index > 1
            and after not in {"dash", "close"}
            and kinds[index - 2] != "dash"
            and not clusters[index][1][0].isdigit()
        )
    if after == "dash":
        return False
    return "han" in {before, after} or before == "emoji"


def _thai_breaks(word: str) -> frozenset[int]:
    offsets: set[int] = set()
    at = 0
    for phrase in _thai_parser().parse(word):
        offsets.add(at)
        at += len(phrase)
    starts = {match.start() for match in _GRAPHEME.finditer(word)}
    return frozenset(
        offset for offset in offsets & starts if offset and _kind(word[offset]) == _kind(word[offset - 1]) == "thai"
    )


def _phrase_starts(word: str) -> frozenset[int]:
    at = 0
    starts: set[int] = set()
    for phrase in _phrase_parser(japanese=bool(_KANA.search(word))).parse(word):
        if phrase[0] not in _PARTICLES:
            starts.add(at)
        at += len(phrase)
    return frozenset(starts)


@cache
def _phrase_parser(*, japanese: bool) -> budoux.Parser:
    return budoux.load_default_japanese_parser() if japanese else budoux.load_default_simplified_chinese_parser()


@cache
def _thai_parser() -> budoux.Parser:
    return budoux.load_default_thai_parser()


@cache
def _dictionary(language: str) -> pyphen.Pyphen | None:
    name = pyphen.language_fallback(language)
    return pyphen.Pyphen(lang=name, left=3, right=3) if name else None


@lru_cache(maxsize=2048)
def hyphenations(word: str, language: str) -> tuple[int, ...]:
    """Return the offsets in `word` where it may part with a hyphen; empty for a language without a dictionary."""
    dictionary = _dictionary(language)
    return tuple(dictionary.positions(word)) if dictionary else ()
