// Messages to nodes. A unit is what stands in one bubble: a message, or all messages of an album.

import { fileUrl } from "./api.js";
import { dress, el, icon, jump } from "./dom.js";
import { formatted } from "./entities.js";
import { size, t, time } from "./i18n.js";
import { mosaic } from "./mosaic.js";
import { paymentNote } from "./pay.js";
import { richBlocks } from "./rich.js";
import { view } from "./viewer.js";

const SHOWN = 800; // pixels of a picture's longer side in the chat; the viewer shows the original

const largest = (sizes) => sizes[sizes.length - 1];
const shown = (sizes) => sizes.find((one) => Math.max(one.width, one.height) >= SHOWN) ?? largest(sizes);
const isPicture = (file) => /^image\/(jpeg|png|webp|gif)$/.test(file.mime_type ?? "");

/** Return the bubble of a unit. `act` has onCommand, onButton(message, button, node). */
export function bubble(messages, act) {
  const first = messages[0];
  const note = paymentNote(first);
  if (note) return note;
  const mine = !first.from.is_bot;
  const media = messages.filter((message) => message.photo);
  const files = messages.filter((message) => message.document);
  const captions = messages.filter((message) => message.caption);
  const caption = captions.length === 1 ? captions[0] : null;
  const text = first.text ? first : caption;

  const body = el("div", { class: "bubble" });
  if (first.forward_origin) body.append(forwarded(first.forward_origin));
  if (first.reply_to_message) body.append(quote(first.reply_to_message));
  const above = first.show_caption_above_media && text;
  const last = stamp(messages[messages.length - 1], mine);
  if (above) body.append(textBlock(text, act));
  if (media.length) body.append(album(media));
  for (const message of files) {
    body.append(file(message.document));
    if (files.length > 1 && captions.length > 1 && message.caption) body.append(textBlock(message, act));
  }
  if (first.rich_message) body.append(el("div", { class: "rich" }, ...richBlocks(first.rich_message.blocks, act)));
  if (first.invoice) body.append(invoice(first.invoice));
  if (text && !above) body.append(textBlock(text, act, last));
  body.append(last);
  if (media.length && !text && !files.length) body.classList.add("only-media");
  if (media.length || first.invoice) body.classList.add("has-media");
  if (text && !media.length && isBigEmoji(first)) body.classList.add("big-emoji");

  const keyboard = messages.find((message) => message.reply_markup?.inline_keyboard);
  const unit = el("article", {
    class: `unit ${mine ? "mine" : "theirs"}`,
    "data-testid": "message",
    "data-message-id": first.message_id,
    "data-from": mine ? "user" : "bot",
  });
  unit.append(body, replyButton(first, act));
  // On a phone there is nothing to point with: two taps answer, as a swipe does elsewhere.
  body.addEventListener("dblclick", (event) => event.target.closest("button, a") || act.onReply(first));
  if (media.length) body.style.setProperty("--media-width", `${unitWidth(media)}px`);
  if (keyboard) unit.append(inlineKeyboard(keyboard, act));
  return unit;
}

function unitWidth(media) {
  return Math.round(mosaic(media.map((message) => ratio(message)), 420).width);
}

const ratio = (message) => largest(message.photo).width / largest(message.photo).height;

function isBigEmoji(message) {
  return !message.entities && message.text && [...message.text].length <= 6 && /^(\p{Extended_Pictographic}|\u200d|\ufe0f|\s)+$/u.test(message.text);
}

function textBlock(message, act, stamped) {
  const entities = message.text ? message.entities : message.caption_entities;
  const nodes = formatted(message.text ?? message.caption, entities, act.onCommand);
  // The time stands in the corner; an invisible copy of it keeps the last line from running under it.
  const room = stamped ? el("span", { class: "room", "aria-hidden": "true", "data-stamp": stamped.textContent }) : null;
  return el("div", { class: "text", dir: "auto" }, ...nodes, room);
}

function stamp(message, mine) {
  const edited = message.edit_date && !message.media_group_id ? el("span", { class: "edited" }, t("edited")) : null;
  return el("span", { class: "stamp" }, edited, time(message.date), mine && icon("check"));
}

function forwarded(origin) {
  const name = origin.sender_user?.first_name ?? origin.sender_user_name ?? origin.chat?.title ?? "";
  return el("p", { class: "forwarded" }, `${t("forwarded")} `, el("strong", {}, name));
}

function replyButton(message, act) {
  const button = el("button", { class: "reply", type: "button", "data-testid": "reply", onclick: () => act.onReply(message) });
  dress(button, "reply", t("reply"));
  return button;
}

/** One line that stands for a message: in quotes and in the pinned bar. */
export function summary(message) {
  if (message.photo) return message.caption || t("photo");
  if (message.document) return message.document.file_name;
  return message.text ?? message.invoice?.title ?? "";
}

function quote(message) {
  const words = [el("strong", {}, message.from.first_name), el("span", {}, summary(message))];
  return el("button", { class: "quote", type: "button", "data-testid": "quote", onclick: () => jump(message.message_id) }, ...words);
}

function album(media) {
  const layout = mosaic(media.map(ratio), 420);
  const pictures = media.map((message) => ({ ...full(largest(message.photo)), caption: message.caption }));
  const percent = (value, whole) => `${((100 * value) / whole).toFixed(4)}%`;
  const tiles = media.map((message, index) => {
    const tile = layout.tiles[index];
    const one = shown(message.photo);
    const label = media.length > 1 ? t("photoOf", { n: index + 1, total: media.length }) : t("photo");
    return el(
      "button",
      {
        class: `tile${message.has_media_spoiler ? " hidden-media" : ""}`,
        type: "button",
        "data-testid": "album-item",
        "data-message-id": message.message_id,
        "aria-label": label,
        style: {
          left: percent(tile.x, layout.width),
          top: percent(tile.y, layout.height),
          width: percent(tile.w, layout.width),
          height: percent(tile.h, layout.height),
        },
        onclick: (event) => {
          if (event.currentTarget.classList.contains("hidden-media")) event.currentTarget.classList.remove("hidden-media");
          else view(pictures, index);
        },
      },
      el("img", { src: fileUrl(one.file_id), alt: message.caption || label, loading: "lazy", decoding: "async" }),
    );
  });
  return el(
    "div",
    {
      class: "album",
      "data-testid": media.length > 1 ? "album" : "photo",
      "data-count": media.length,
      style: { "aspect-ratio": `${layout.width} / ${layout.height}` },
    },
    ...tiles,
  );
}

const full = (one) => ({ fileId: one.file_id, width: one.width, height: one.height });

/** A row for a file: what it is, how large, and a click away. */
export function file(document) {
  const extension = document.file_name.includes(".") ? document.file_name.split(".").pop().slice(0, 4) : "";
  const badge = isPicture(document)
    ? el("img", { class: "badge", src: fileUrl(document.file_id), alt: "", loading: "lazy" })
    : el("span", { class: "badge", "data-kind": extension.toLowerCase() }, extension || icon("file"));
  return el(
    "a",
    {
      class: "file",
      href: `${fileUrl(document.file_id)}?download`,
      download: document.file_name,
      "data-testid": "document",
      "aria-label": `${t("download")}: ${document.file_name}, ${size(document.file_size)}`,
    },
    badge,
    el("span", { class: "file-text" }, el("strong", {}, document.file_name), el("span", {}, size(document.file_size))),
    icon("save"),
  );
}

function invoice(bill) {
  const stars = bill.currency === "XTR";
  const amount = el("span", { class: "price" }, stars && icon("star"), stars ? String(bill.total_amount) : `${bill.total_amount / 100} ${bill.currency}`);
  return el(
    "div",
    { class: "invoice", "data-testid": "invoice" },
    el("div", { class: "invoice-art", "aria-hidden": "true" }, icon("star")),
    el("strong", {}, bill.title),
    el("p", {}, bill.description),
    el("p", { class: "amount" }, el("span", {}, t("invoice")), amount),
  );
}

function inlineKeyboard(message, act) {
  const rows = message.reply_markup.inline_keyboard.map((row) =>
    el("div", { class: "key-row" }, ...row.map((button) => inlineButton(message, button, act))),
  );
  return el("div", { class: "keys", "data-testid": "inline-keyboard" }, ...rows);
}

/** On a pay button Telegram shows a star where the text says XTR. */
function buttonText(button) {
  if (!button.pay) return [button.text];
  const parts = button.text.split(/XTR|⭐️?/);
  return parts.flatMap((part, index) => (index ? [icon("star"), part] : [part]));
}

function inlineButton(message, button, act) {
  const mark = button.url ? icon("link") : button.copy_text ? icon("copy") : null;
  const disabled = button.disabled !== undefined && button.disabled !== null;
  return el(
    "button",
    {
      class: `key${button.style ? ` ${button.style}` : ""}`,
      type: "button",
      disabled,
      "data-testid": "inline-button",
      "data-callback": button.callback_data,
      onclick: (event) => act.onButton(message, button, event.currentTarget),
    },
    el("span", { class: "key-text" }, ...buttonText(button)),
    mark,
    el("span", { class: "spinner", "aria-hidden": "true" }),
  );
}
