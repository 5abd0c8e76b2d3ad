"""Rich messages (Bot API 10): blocks of text and media, the native slideshow among them.

Only `blocks` are understood. The html and markdown forms are refused by name rather than half understood.
"""

from collections.abc import Mapping
from typing import Any, Final

from carousel_pipeline.local.telegram.entities import utf16_length
from carousel_pipeline.local.telegram.methods.messages import send
from carousel_pipeline.local.telegram.methods.registry import Call, method
from carousel_pipeline.local.telegram.refusals import bad_request
from carousel_pipeline.local.telegram.state import Message

_MAX_TEXT: Final = 32_768
_MAX_BLOCKS: Final = 500
_MAX_MEDIA: Final = 50
_NESTED: Final = frozenset({"slideshow", "collage", "blockquote", "details"})
_PLAIN: Final = frozenset(
    {
        "paragraph",
        "heading",
        "pre",
        "footer",
        "divider",
        "expandable_blockquote",
        "pullquote",
        "buttons",
        "table",
        "anchor",
        "mathematical_expression",
    }
)


class _Builder:
    def __init__(self, call: Call) -> None:
        self._call = call
        self._blocks = 0
        self._media = 0
        self._length = 0

    async def build(self, blocks: Any) -> list[dict[str, Any]]:
        if not isinstance(blocks, list) or not blocks:
            raise bad_request("rich message must be non-empty")
        return [await self._block(block) for block in blocks]

    async def _block(self, block: Any) -> dict[str, Any]:
        if not isinstance(block, dict):
            raise bad_request("can't parse InputRichBlock: expected an Object")
        kind = str(block.get("type"))
        self._blocks += 1
        self._length += _text_length(block)
        if self._blocks > _MAX_BLOCKS or self._length > _MAX_TEXT:
            raise bad_request("rich message is too long")
        clean = {key: value for key, value in block.items() if value is not None}
        if kind in {"photo", "document"}:
            return await self._file(kind, clean)
        if kind in _NESTED:
            return {**clean, "blocks": await self.build(block.get("blocks"))}
        if kind == "list":
            items = block.get("items")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise bad_request("can't parse InputRichBlockList: expected an Array of items")
            return {**clean, "items": [await self._item(item, place) for place, item in enumerate(items, 1)]}
        if kind in _PLAIN:
            return clean
        raise bad_request(f'can\'t parse InputRichBlock: type "{kind}" is unsupported')

    async def _item(self, item: Mapping[str, Any], place: int) -> dict[str, Any]:
        label = f"{item['value']}." if item.get("value") else f"{place}." if item.get("type") else "•"
        clean = {key: value for key, value in item.items() if value is not None}
        return {**clean, "label": label, "blocks": await self.build(item.get("blocks"))}

    async def _file(self, kind: str, block: dict[str, Any]) -> dict[str, Any]:
        self._media += 1
        if self._media > _MAX_MEDIA:
            raise bad_request("too many media in the rich message")
        media = block.get(kind)
        if not isinstance(media, dict):
            raise bad_request("can't parse InputMedia: expected an Object")
        source = self._call.arguments.attached(str(media.get("media") or ""))
        if not source:
            raise bad_request("can't parse InputMedia: media not found")
        files = self._call.world.files
        if kind == "document":
            return {**block, "document": files.document(source)}
        spoiler = {"has_spoiler": True} if media.get("has_spoiler") else {}
        return {**block, "photo": await files.photo(source), **spoiler}


def _text_length(value: Any) -> int:
    """Count the text of one block, nested blocks and files aside."""
    if isinstance(value, str):
        return utf16_length(value)
    if isinstance(value, list):
        return sum(_text_length(part) for part in value)
    if isinstance(value, dict):
        return sum(_text_length(value[name]) for name in ("text", "caption", "summary", "credit") if name in value)
    return 0


async def rich_fields(call: Call, wanted: Any) -> dict[str, Any]:
    """Return the `rich_message` field that an InputRichMessage object becomes.

    Raises:
        RefusedError: it is not of blocks, or a block is wrong.
    """
    if not isinstance(wanted, dict) or not wanted.get("blocks"):
        raise bad_request("rich messages as html or markdown are not supported by the local Telegram; send blocks")
    rich: dict[str, Any] = {"blocks": await _Builder(call).build(wanted["blocks"])}
    if wanted.get("is_rtl"):
        rich["is_rtl"] = True
    return {"rich_message": rich}


@method("sendRichMessage")
async def send_rich_message(call: Call) -> Message:
    """Send a message of blocks."""
    fields = await rich_fields(call, call.arguments.parsed("rich_message", "rich message"))
    return send(call, call.target(), fields)
