"""What Telegram refuses, word for word. The texts are what client libraries and our own error table match on."""

import io
import json
import random
from typing import Any

import aiohttp
import pytest

from carousel_pipeline.local.telegram.methods import methods_by_name

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)


def button(**fields: Any) -> dict[str, Any]:
    return {"reply_markup": {"inline_keyboard": [[{"text": "b", **fields}]]}, "text": "x"}


TEXT_CASES = [
    ({"text": ""}, "message text is empty"),
    ({"text": "   "}, "text must be non-empty"),
    ({"text": "x" * 4097}, "message is too long"),
    ({"text": "🙂" * 2049}, "message is too long"),
    ({"text": "x", "chat_id": ""}, "chat_id is empty"),
    ({"text": "x", "chat_id": 1}, "chat not found"),
    ({"text": "x", "chat_id": -1}, "chat not found"),
    ({"text": "x", "chat_id": "@nobody_here"}, "chat not found"),
    ({"text": "x", "parse_mode": "INVALID"}, "unsupported parse_mode"),
    (
        {"text": "<b>x", "parse_mode": "HTML"},
        "can't parse entities: Can't find end tag corresponding to start tag \"b\"",
    ),
    ({"text": "x", "reply_parameters": {"message_id": 999}}, "message to be replied not found"),
    ({"text": "x", "reply_parameters": {"quote": "y"}}, 'can\'t find field "message_id"'),
    (
        {"text": "hello", "entities": [{"type": "bold", "offset": 100, "length": 1}]},
        "entity begins after the end of the text at UTF-16 offset 100",
    ),
    (
        {"text": "hello", "entities": [{"type": "odd", "offset": 0, "length": 1}]},
        "can't parse MessageEntity: Unsupported type specified",
    ),
    (button(callback_data="x" * 65), "BUTTON_DATA_INVALID"),
    (button(callback_data="ы" * 33), "BUTTON_DATA_INVALID"),
    (button(callback_data=""), "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"),
    (button(copy_text={"text": "x" * 257}), "BUTTON_COPY_TEXT_INVALID"),
    (button(pay=True), "BUTTON_TYPE_INVALID"),
    (button(url="not-a-url"), "inline keyboard button URL 'not-a-url' is invalid: Wrong HTTP URL"),
    (
        button(url="ftp://example.com"),
        "inline keyboard button URL 'ftp://example.com' is invalid: Unsupported URL protocol",
    ),
    (
        {"text": "x", "reply_markup": {"inline_keyboard": [[{"callback_data": "x"}]]}},
        "can't parse inline keyboard button: Can't find field \"text\"",
    ),
    ({"text": "x", "reply_markup": {"inline_keyboard": "bad"}}, 'field "inline_keyboard" must be of type Array'),
    ({"text": "x", "reply_markup": {"force_reply": "yes"}}, 'field "force_reply" must be of type Boolean'),
    ({"text": "x", "reply_markup": "{"}, "can't parse reply keyboard markup JSON object"),
]


@pytest.mark.parametrize(("params", "reason"), TEXT_CASES, ids=[reason[:48] for _, reason in TEXT_CASES])
async def test_texts_and_keyboards(sim: Any, chat: int, params: dict[str, Any], reason: str) -> None:
    status, answer = await sim.api("sendMessage", **{"chat_id": chat, **params})
    assert (status, answer) == (400, {"ok": False, "error_code": 400, "description": f"Bad Request: {reason}"})
    assert await sim.messages(chat) == []
    assert await sim.log() == []


async def test_the_longest_allowed_pass(sim: Any, chat: int) -> None:
    assert (await sim.api("sendMessage", chat_id=chat, text="x" * 4096))[0] == 200
    assert (await sim.api("sendMessage", chat_id=chat, **button(callback_data="x" * 64)))[0] == 200
    assert (await sim.api("sendMessage", chat_id=chat, **button(copy_text={"text": "x" * 256})))[0] == 200


async def test_edits_deletes_and_queries(sim: Any, chat: int) -> None:
    said = await sim.say(chat, "mine")
    sent = (await sim.api("sendMessage", chat_id=chat, text="one"))[1]["result"]["message_id"]
    cases = [
        ("editMessageText", {"message_id": 999, "text": "x"}, "Bad Request: message to edit not found"),
        ("editMessageText", {"message_id": said, "text": "x"}, "Bad Request: message can't be edited"),
        ("editMessageText", {"text": "x"}, "Bad Request: message identifier is not specified"),
        ("editMessageText", {"message_id": sent, "text": "one"}, NOT_MODIFIED),
        ("editMessageReplyMarkup", {"message_id": sent}, NOT_MODIFIED),
        (
            "editMessageCaption",
            {"message_id": sent, "caption": "x"},
            "Bad Request: there is no caption in the message to edit",
        ),
        ("deleteMessage", {"message_id": 999}, "Bad Request: message to delete not found"),
        (
            "answerCallbackQuery",
            {"callback_query_id": "1"},
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
        ),
        ("sendChatAction", {"action": "dancing"}, "Bad Request: wrong parameter action in request"),
        ("getFile", {"file_id": "AgACnonsense"}, "Bad Request: invalid file_id"),
        ("forwardMessage", {"from_chat_id": chat, "message_id": 999}, "Bad Request: message to forward not found"),
        ("copyMessage", {"from_chat_id": chat, "message_id": 999}, "Bad Request: message to copy not found"),
        ("pinChatMessage", {"message_id": 999}, "Bad Request: message to pin not found"),
        ("getChatMember", {"user_id": 5}, "Bad Request: member not found"),
        ("sendPhoto", {}, "Bad Request: there is no photo in the request"),
        ("sendPhoto", {"photo": "AgACnonsense"}, "Bad Request: wrong file identifier/HTTP URL specified"),
        ("sendPhoto", {"photo": "http://example.com/a.jpg"}, "Bad Request: failed to get HTTP URL content"),
        ("sendDocument", {}, "Bad Request: there is no document in the request"),
        ("setMyCommands", {"commands": [{"command": "Bad!", "description": "x"}]}, "Bad Request: BOT_COMMAND_INVALID"),
        ("setWebhook", {"url": "ftp://x"}, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"),
        (
            "setWebhook",
            {"url": "http://127.0.0.1:1/", "secret_token": "ы"},
            "Bad Request: secret token contains unallowed characters",
        ),
    ]
    for method, params, description in cases:
        status, answer = await sim.api(method, **{"chat_id": chat, **params})
        assert (status, answer["description"]) == (400, description), method


async def _send(
    sim: Any, token: str, method: str, fields: dict[str, Any], files: dict[str, tuple[str, bytes]]
) -> tuple[int, str]:
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, str(value))
    for name, (filename, content) in files.items():
        form.add_field(name, io.BytesIO(content), filename=filename)
    status, answer = await sim.status("POST", f"/bot{token}/{method}", data=form)
    return status, answer.get("description", "")


async def test_pictures_are_really_looked_at(sim: Any, chat: int, token: str, draw: Any) -> None:
    big = draw() + bytes(10 * 1024 * 1024)
    cases = [
        (b"not a picture", "Bad Request: IMAGE_PROCESS_FAILED"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Bad Request: IMAGE_PROCESS_FAILED"),
        (draw(size=(2100, 100)), "Bad Request: PHOTO_INVALID_DIMENSIONS"),
        (draw(size=(9000, 1001), kind="PNG"), "Bad Request: PHOTO_INVALID_DIMENSIONS"),
        (big, f"Bad Request: file of size {len(big)} bytes is too big for a photo; the maximum size is 10485760 bytes"),
        (b"", "Bad Request: file must be non-empty"),
    ]
    for content, description in cases:
        assert await _send(sim, token, "sendPhoto", {"chat_id": chat}, {"photo": ("a.jpg", content)}) == (
            400,
            description,
        )
    caption = {"chat_id": chat, "caption": "x" * 1025}
    assert await _send(sim, token, "sendPhoto", caption, {"photo": ("a.jpg", draw())}) == (
        400,
        "Bad Request: message caption is too long",
    )
    assert await sim.messages(chat) == []


async def test_a_document_of_more_than_50_mb_is_413(sim: Any, chat: int, token: str) -> None:
    answer = await _send(
        sim, token, "sendDocument", {"chat_id": chat}, {"document": ("a.bin", bytes(50 * 1024 * 1024 + 1))}
    )
    assert answer == (413, "Request Entity Too Large")


async def test_albums(sim: Any, chat: int, token: str, draw: Any) -> None:
    def album(*kinds: str) -> str:
        return json.dumps([{"type": kind, "media": f"attach://f{n}"} for n, kind in enumerate(kinds)])

    good = {f"f{n}": ("a.jpg", draw()) for n in range(3)}
    bad = {**good, "f1": ("a.jpg", b"no picture")}
    cases = [
        ("[]", {}, "there are no messages to send"),
        (album("photo"), good, "not enough messages to send as an album"),
        (album(*["photo"] * 11), good, "too many messages to send as an album"),
        (album("photo", "document"), good, "document can't be mixed with other media types"),
        (album("photo", "sticker"), good, 'can\'t parse InputMedia: type "sticker" is unsupported'),
        (album("photo", "photo"), {"f0": good["f0"]}, "can't parse InputMedia: media not found"),
        (album("photo", "photo"), bad, 'failed to send message #2 with the error message "IMAGE_PROCESS_FAILED"'),
    ]
    for media, files, reason in cases:
        answer = await _send(sim, token, "sendMediaGroup", {"chat_id": chat, "media": media}, files)
        assert answer == (400, f"Bad Request: {reason}")
    assert await sim.messages(chat) == []


async def test_a_file_id_is_only_good_for_its_kind(sim: Any, chat: int, token: str) -> None:
    await _send(sim, token, "sendDocument", {"chat_id": chat}, {"document": ("a.txt", b"text")})
    document = (await sim.messages(chat))[-1]["document"]["file_id"]
    status, answer = await sim.api("sendPhoto", chat_id=chat, photo=document)
    assert (status, answer["description"]) == (400, "Bad Request: can't use file of type Document as Photo")


async def test_tokens_and_methods(sim: Any, token: str) -> None:
    wrong = token[:-1] + "X"
    assert await sim.status("POST", f"/bot{wrong}/getMe") == (
        401,
        {"ok": False, "error_code": 401, "description": "Unauthorized"},
    )
    assert (await sim.status("POST", "/botnonsense/getMe"))[0] == 404
    assert (await sim.status("POST", f"/bot{token}/sendSmell"))[0] == 404
    assert (await sim.status("GET", f"/bot{token}/getme"))[0] == 200
    assert (await sim.status("GET", f"/file/bot{wrong}/photos/x"))[0] == 401


async def test_all_three_encodings_of_a_body(sim: Any, chat: int, token: str) -> None:
    keyboard = '{"inline_keyboard": [[{"text": "b", "callback_data": "d"}]]}'
    fields = {"chat_id": str(chat), "text": "x", "reply_markup": keyboard}
    multipart = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        multipart.add_field(name, value)
    for options in ({"json": fields}, {"data": fields}, {"data": multipart}, {"params": fields}):
        status, answer = await sim.status("POST", f"/bot{token}/sendMessage", **options)
        assert status == 200
        assert answer["result"]["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "d"


async def test_only_this_machine_and_its_own_page_are_answered(sim: Any) -> None:
    foreign = {"Origin": "https://evil.example"}
    assert (await sim.status("POST", "/sim/reset", headers=foreign))[0] == 403
    assert (await sim.status("GET", "/sim/users", headers={"Host": "evil.example"}))[0] == 403
    assert (await sim.status("POST", "/sim/reset", headers={"Origin": sim.url}))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/sim/chats/5/messages", None, 404, "unknown_chat"),
        ("GET", "/sim/chats/x/messages", None, 404, "unknown_chat"),
        ("POST", "/sim/chats/{chat}/messages", {"text": " "}, 400, "nothing_to_send"),
        ("POST", "/sim/chats/{chat}/press", {"message_id": "1"}, 400, "bad_press"),
        ("POST", "/sim/chats/{chat}/press", {"message_id": 77, "data": "x"}, 404, "unknown_message"),
        ("GET", "/sim/chats/{chat}/events?after=x", None, 400, "bad_number"),
        ("POST", "/sim/faults", {"method": "sendMessage", "kind": "odd"}, 400, "bad_fault"),
        ("POST", "/sim/faults", {"kind": "drop"}, 400, "bad_fault"),
        ("POST", "/sim/faults", {"method": "x", "kind": "drop", "colour": 1}, 400, "bad_fault"),
        ("GET", "/sim/files/nothing", None, 404, "unknown_file"),
        ("GET", "/sim/nothing", None, 404, "unknown_path"),
    ],
)
async def test_the_control_api_says_what_was_wrong(
    sim: Any, chat: int, method: str, path: str, body: Any, status: int, code: str
) -> None:
    got, answer = await sim.status(method, path.format(chat=chat), json=body)
    assert (got, answer["error"]["code"]) == (status, code)
    assert answer["error"]["message"]


ODD: list[Any] = [
    *(None, 0, -1, True, 1.5, "x", "", [], {}, [1], [None], [[]], {"a": 1}, "{", "[1]", "9" * 30, "attach://gone"),
    *({"inline_keyboard": [[1]]}, {"inline_keyboard": [1]}, {"keyboard": [[{}]]}, {"message_id": {}}),
    *(
        {"inline_keyboard": [[{"text": "a", name: value}]]}
        for name, value in (("copy_text", "x"), ("url", 5), ("web_app", 1))
    ),
    *({"blocks": [{"type": kind, kind: 3, "items": 3}]} for kind in ("list", "photo", "slideshow", "table")),
    *([{"type": "bold", "offset": odd, "length": odd}] for odd in (None, "x", [], 1e300)),
    *([{"type": "photo", "media": "x", "caption": 5, "caption_entities": 7}], [{"label": "a", "amount": "1"}]),
]
NAMES = [
    *("message_id", "text", "parse_mode", "entities", "reply_markup", "reply_parameters", "media", "photo", "document"),
    *(
        "caption",
        "caption_entities",
        "message_ids",
        "from_chat_id",
        "commands",
        "scope",
        "language_code",
        "offset",
        "limit",
    ),
    *("allowed_updates", "rich_message", "prices", "title", "description", "payload", "currency", "callback_query_id"),
    *("file_id", "user_id", "action", "link_preview_options", "menu_button", "name"),
]


async def test_nonsense_is_refused_never_an_error_of_ours(sim: Any, chat: int) -> None:
    dice = random.Random(7)  # noqa: S311 -- the same nonsense every time
    known = [
        name for name, _ in methods_by_name.values() if name not in {"setWebhook", "deleteMessage", "deleteMessages"}
    ]
    sent = (await sim.api("sendMessage", chat_id=chat, text="x"))[1]["result"]["message_id"]
    for _ in range(400):
        params = {name: dice.choice(ODD) for name in dice.sample(NAMES, dice.randint(0, 6))}
        params |= {"message_id": sent} if dice.random() < 0.5 else {}
        method = dice.choice(known)
        status, answer = await sim.api(method, **{"chat_id": chat, **params})
        assert status < 500, (method, params)
        assert answer["ok"] is (status == 200)
    await sim.api("setMyName", name="")
    await sim.api("deleteMyCommands")
