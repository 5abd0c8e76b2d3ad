"""aiogram imported without building its models: types build themselves when they are used."""

import json
import subprocess
import sys

_SAMPLE = {
    "update_id": 1,
    "callback_query": {
        "id": "1",
        "chat_instance": "c",
        "data": "x",
        "from": {"id": 1, "is_bot": False, "first_name": "A"},
        "message": {
            "message_id": 2,
            "date": 1_700_000_000,
            "chat": {"id": 1, "type": "private"},
            "text": "hi",
            "entities": [{"type": "bold", "offset": 0, "length": 2}],
            "reply_markup": {"inline_keyboard": [[{"text": "t", "callback_data": "d"}]]},
        },
    },
}

# Types that the bot itself never touches but aiogram may: each is built on first use, with all it refers to.
_RARE = (
    "ChatFullInfo",
    "Gift",
    "InputMediaVideo",
    "PaidMediaInfo",
    "PollAnswer",
    "StarTransactions",
    "StickerSet",
    "WebAppInfo",
)

_USE = """
import json, sys
import bot
from aiogram import types
from aiogram.methods import Response
for name in sys.argv[2].split():
    try:
        getattr(types, name).model_validate({})
    except ValueError as error:
        assert "Field required" in str(error), error
update = types.Update.model_validate(json.loads(sys.argv[1]))
assert isinstance(update.callback_query.message, types.Message)
assert update.callback_query.message.entities[0].type == "bold"
assert update.callback_query.message.reply_markup.inline_keyboard[0][0].callback_data == "d"
sent = Response[types.Message].model_validate({"ok": True, "result": json.loads(sys.argv[1])["callback_query"]["message"]})
assert sent.result.chat.id == 1
print("ok")
"""


def test_types_build_themselves_on_first_use() -> None:
    command = [sys.executable, "-c", _USE, json.dumps(_SAMPLE), " ".join(_RARE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "ok\n", done.stderr[-2000:]


def test_where_aiogram_was_imported_before_nothing_changes() -> None:
    code = (
        "import sys; from pydantic import BaseModel; stock = BaseModel.__dict__['model_rebuild'];"
        "sys.modules['aiogram'] = sys; import bot; print(BaseModel.__dict__['model_rebuild'] is stock)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr[-2000:]
