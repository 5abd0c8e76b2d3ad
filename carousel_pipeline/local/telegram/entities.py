"""Formatted text: HTML of the Bot API to plain text with entities, and the entities Telegram finds by itself.

Offsets and lengths of entities count UTF-16 code units, byte offsets in refusals count UTF-8 bytes, both as Telegram does. A bot
that forgets to escape a user's `<` must fail here as it fails there, so the parser follows TDLib's rules case by case. The
markdown modes are refused as unsupported: nothing here writes them.
"""

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from carousel_pipeline.local.telegram.numbers import whole
from carousel_pipeline.local.telegram.refusals import bad_request

Entity = dict[str, Any]

_TAGS = MappingProxyType(
    {
        "b": "bold",
        "strong": "bold",
        "i": "italic",
        "em": "italic",
        "u": "underline",
        "ins": "underline",
        "s": "strikethrough",
        "strike": "strikethrough",
        "del": "strikethrough",
        "tg-spoiler": "spoiler",
        "span": "spoiler",
        "blockquote": "blockquote",
        "code": "code",
        "pre": "pre",
        "a": "text_link",
        "tg-emoji": "custom_emoji",
    }
)
_ENTITY_TYPES = frozenset(_TAGS.values()) | {
    "expandable_blockquote",
    "text_mention",
    "mention",
    "hashtag",
    "cashtag",
    "bot_command",
    "url",
    "email",
    "phone_number",
}
_NAMED = MappingProxyType({"lt": "<", "gt": ">", "amp": "&", "quot": '"'})
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-zA-Z]+));?")
_MAX_REFERENCE = 10
_MAX_CODE_POINT = 0x10FFFF
_TOKEN = re.compile(r"[a-zA-Z0-9.-]*")
_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)$", re.DOTALL)
_MENTION_LINK = re.compile(r"^tg://user\?id=(\d+)$")


def utf16_length(text: str) -> int:
    """Return the length of `text` in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass
class _Open:
    tag: str
    start: int
    at: int
    attributes: dict[str, str] = field(default_factory=dict)


class _HtmlParser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._pos = 0
        self._text: list[str] = []
        self._length = 0
        self._open: list[_Open] = []
        self._entities: list[tuple[int, Entity]] = []

    def parse(self) -> tuple[str, list[Entity]]:
        while self._pos < len(self._source):
            character = self._source[self._pos]
            if character == "<":
                if self._source.startswith("</", self._pos):
                    self._end_tag()
                else:
                    self._start_tag()
            else:
                self._append(self._character())
        if self._open:
            raise _unparsable(f'Can\'t find end tag corresponding to start tag "{self._open[-1].tag}"')
        ordered = sorted(self._entities, key=lambda item: (item[1]["offset"], -item[1]["length"], item[0]))
        return "".join(self._text), _join_code([entity for _, entity in ordered])

    def _append(self, text: str) -> None:
        self._text.append(text)
        self._length += utf16_length(text)

    def _byte_offset(self, position: int) -> int:
        return len(self._source[:position].encode("utf-8", "surrogatepass"))

    def _character(self) -> str:
        match = _REFERENCE.match(self._source, self._pos) if self._source[self._pos] == "&" else None
        decoded = _decode(match) if match else None
        if match is None or decoded is None:
            self._pos += 1
            return self._source[self._pos - 1]
        self._pos = match.end()
        return decoded

    def _start_tag(self) -> None:
        begin = self._pos
        unclosed = f"Unclosed start tag at byte offset {self._byte_offset(begin)}"
        end = self._scan(begin + 1, "")
        if end == len(self._source):
            raise _unparsable(unclosed)
        tag = self._source[begin + 1 : end].lower()
        if tag not in _TAGS:
            raise _unparsable(f'Unsupported start tag "{tag}" at byte offset {self._byte_offset(begin)}')
        self._pos = end
        attributes = self._attributes(tag, begin)
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            where = self._byte_offset(begin)
            raise _unparsable(f'Tag "span" must have class "tg-spoiler" at byte offset {where}')
        self._open.append(_Open(tag, self._length, begin, attributes))

    def _scan(self, position: int, stops: str) -> int:
        while (
            position < len(self._source)
            and not self._source[position].isspace()
            and self._source[position] not in f">{stops}"
        ):
            position += 1
        return position

    def _skip_spaces(self) -> str:
        while self._pos < len(self._source) and self._source[self._pos].isspace():
            self._pos += 1
        return self._source[self._pos : self._pos + 1]

    def _attributes(self, tag: str, begin: int) -> dict[str, str]:
        attributes: dict[str, str] = {}
        where = self._byte_offset(begin)
        while (following := self._skip_spaces()) != ">":
            if not following:
                raise _unparsable(f'Unclosed start tag "{tag}" at byte offset {where}')
            end = self._scan(self._pos, "=")
            name, self._pos = self._source[self._pos : end].lower(), end
            if not name:
                raise _unparsable(f'Empty attribute name in the tag "{tag}" at byte offset {where}')
            if self._skip_spaces() != "=":
                attributes[name] = ""
                continue
            self._pos += 1
            following = self._skip_spaces()
            if not following:
                raise _unparsable(f'Unclosed start tag "{tag}" at byte offset {where}')
            attributes[name] = self._quoted(following, where) if following in "'\"" else self._name_token()
        self._pos += 1
        return attributes

    def _name_token(self) -> str:
        match = _TOKEN.match(self._source, self._pos)
        begin, self._pos = self._pos, match.end() if match else self._pos
        following = self._source[self._pos : self._pos + 1]
        if following and not following.isspace() and following != ">":
            raise _unparsable(f"Unexpected end of name token at byte offset {self._byte_offset(begin)}")
        return self._source[begin : self._pos].lower()

    def _quoted(self, quote: str, where: int) -> str:
        self._pos += 1
        value: list[str] = []
        while self._pos < len(self._source) and self._source[self._pos] != quote:
            value.append(self._character())
        if self._pos >= len(self._source):
            raise _unparsable(f"Unclosed start tag at byte offset {where}")
        self._pos += 1
        return "".join(value)

    def _end_tag(self) -> None:
        begin = self._pos
        where = self._byte_offset(begin)
        if not self._open:
            raise _unparsable(f"Unexpected end tag at byte offset {where}")
        end = self._scan(begin + 2, "")
        name, self._pos = self._source[begin + 2 : end].lower(), end
        if self._skip_spaces() != ">":
            raise _unparsable(f"Unclosed end tag at byte offset {where}")
        self._pos += 1
        opened = self._open.pop()
        if name and name != opened.tag:
            raise _unparsable(
                f'Unmatched end tag at byte offset {where}, expected "</{opened.tag}>", found "</{name}>"'
            )
        if self._length > opened.start and (entity := self._entity(opened)) is not None:
            self._entities.append(
                (opened.at, {"offset": opened.start, "length": self._length - opened.start, **entity})
            )

    def _entity(self, opened: _Open) -> Entity | None:
        kind = _TAGS[opened.tag]
        if kind == "text_link":
            target = opened.attributes.get("href") or _slice("".join(self._text), opened.start, self._length)
            mention = _MENTION_LINK.match(target)
            if mention:
                return {"type": "text_mention", "user": {"id": int(mention[1]), "is_bot": False, "first_name": ""}}
            url = normal_url(target)
            return None if url is None else {"type": kind, "url": url}
        if kind == "blockquote" and "expandable" in opened.attributes:
            return {"type": "expandable_blockquote"}
        if kind == "code" and opened.attributes.get("class", "").startswith("language-"):
            return {"type": kind, "language": opened.attributes["class"].removeprefix("language-")}
        if kind == "custom_emoji":
            identifier = opened.attributes.get("emoji-id", "")
            if not identifier.isdigit():
                raise _unparsable("Invalid custom emoji identifier specified")
            return {"type": kind, "custom_emoji_id": identifier}
        return {"type": kind}


def _unparsable(reason: str) -> Exception:
    return bad_request(f"can't parse entities: {reason}")


def _decode(match: re.Match[str]) -> str | None:
    hexadecimal, decimal, name = match.groups()
    if name is not None:
        return _NAMED.get(name)
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    digits = match.group().rstrip(";")
    if code == 0 or code >= _MAX_CODE_POINT or len(digits) >= _MAX_REFERENCE:
        return None
    return chr(code)


def _join_code(entities: list[Entity]) -> list[Entity]:
    """Telegram has no `code` with a language: with a `pre` of the same range it becomes one, alone it loses the language."""
    pre = {(entity["offset"], entity["length"]): entity for entity in entities if entity["type"] == "pre"}
    joined: list[Entity] = []
    for entity in entities:
        if entity["type"] == "code" and "language" in entity:
            language = entity.pop("language")
            outer = pre.get((entity["offset"], entity["length"]))
            if outer is not None and language:
                outer["language"] = language
                continue
        joined.append(entity)
    return joined


def normal_url(target: str) -> str | None:
    """Return `target` as Telegram stores it (scheme and path completed), or None when it is no link."""
    scheme, rest = "http", target.strip()
    if match := _SCHEME.match(rest):
        scheme, rest = match[1].lower(), match[2]
    if not rest or any(character.isspace() for character in rest):
        return None
    if scheme in {"tg", "ton"}:
        return f"{scheme}://{rest}"
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if scheme not in {"http", "https"} or "." not in host.strip("."):
        return None
    path = rest[len(host) :]
    return f"{scheme}://{host}{path if path.startswith('/') else '/' + path}"


def _slice(text: str, start: int, end: int) -> str:
    return text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")


def formatted(text: str, parse_mode: str | None, entities: list[Any] | None) -> tuple[str, list[Entity]]:
    """Return plain text and its entities, trimmed as Telegram trims, explicit and found ones together.

    Args:
        text: what the bot sent.
        parse_mode: `HTML` in any case, or None/"" for plain text with explicit `entities`.
        entities: a list of MessageEntity objects, ignored when `parse_mode` is given.

    Raises:
        RefusedError: the markup or an entity is wrong.
    """
    mode = (parse_mode or "").lower()
    if mode == "html":
        plain, found = _HtmlParser(text).parse()
    elif mode in {"", "none"}:
        plain, found = text, _explicit(text, entities)
    else:
        raise bad_request("unsupported parse_mode")
    plain, found = _trim(plain.replace("\r", ""), found)
    return plain, sorted(found + detected(plain, found), key=lambda entity: (entity["offset"], -entity["length"]))


def _explicit(text: str, entities: list[Any] | None) -> list[Entity]:
    if not entities:
        return []
    end = utf16_length(text)
    checked: list[Entity] = []
    for entity in entities:
        if not isinstance(entity, dict) or entity.get("type") not in _ENTITY_TYPES:
            raise bad_request("can't parse MessageEntity: Unsupported type specified")
        offset, length = whole(entity.get("offset")), whole(entity.get("length"))
        if offset < 0:
            raise bad_request(f"receive an entity with incorrect offset {offset}")
        if offset > end:
            raise bad_request(f"entity begins after the end of the text at UTF-16 offset {offset}")
        if offset + length > end:
            raise bad_request(
                f"entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 offset {offset + length}"
            )
        if entity["type"] == "text_link" and normal_url(str(entity.get("url", ""))) is None:
            raise bad_request(f"entity URL '{entity.get('url', '')}' is invalid: Wrong HTTP URL")
        if length > 0:
            clean = {key: value for key, value in entity.items() if value is not None}
            checked.append({**clean, "offset": offset, "length": length})
    return checked


def _trim(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    stripped = text.strip()
    shift = utf16_length(text[: len(text) - len(text.lstrip())])
    end = utf16_length(stripped)
    kept: list[Entity] = []
    for entity in entities:
        start = max(entity["offset"] - shift, 0)
        stop = min(entity["offset"] + entity["length"] - shift, end)
        if stop > start:
            kept.append({**entity, "offset": start, "length": stop - start})
    return stripped, kept


_DETECTED = (
    (
        "url",
        re.compile(
            r"(?<![\w@.])(?:https?://[^\s<>\"]+|(?:[\w-]+\.)+(?:com|org|net|io|me|dev|ru|app|ai|co)(?:/[^\s<>\"]*)?)(?<![.,;:!?)\]])"
        ),
    ),
    ("email", re.compile(r"(?<![\w.])[\w.+-]+@[\w-]+\.[\w.-]*\w")),
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z]\w{2,31})?(?![\w/])")),
    ("mention", re.compile(r"(?<![\w@])@[A-Za-z]\w{2,31}\b")),
    ("hashtag", re.compile(r"(?<![\w#])#\w*[^\W\d]\w*")),
)
_OPAQUE = frozenset({"code", "pre", "text_link", "text_mention"})


def detected(text: str, known: list[Entity]) -> list[Entity]:
    """Return the links, addresses, commands, mentions and hashtags that Telegram marks without being asked."""
    taken = [(entity["offset"], entity["offset"] + entity["length"]) for entity in known if entity["type"] in _OPAQUE]
    taken += [(item["offset"], item["offset"] + item["length"]) for item in known if item["type"] in dict(_DETECTED)]
    found: list[Entity] = []
    for kind, pattern in _DETECTED:
        for match in pattern.finditer(text):
            start = utf16_length(text[: match.start()])
            end = start + utf16_length(match.group())
            if all(end <= begin or start >= stop for begin, stop in taken):
                taken.append((start, end))
                found.append({"type": kind, "offset": start, "length": end - start})
    return found
