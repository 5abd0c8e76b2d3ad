// The chat page: it loads one chat, then follows its events.

import * as api from "./api.js";
import { bubble, summary } from "./bubbles.js";
import { Composer } from "./composer.js";
import { $, dress, el, jump } from "./dom.js";
import { day, t, use } from "./i18n.js";
import { alert, people, toast } from "./notices.js";
import { isInvoice, openInvoice } from "./pay.js";

const NEAR_END = 120; // pixels; who reads further up is not pulled down
const ACTION_MS = 6000;
const QUERY_MS = 15_000;

const composer = new Composer();
const query = new URLSearchParams(location.search);
const messages = new Map();
const units = new Map(); // key -> node, in the order of the chat
const waiting = new Map(); // callback query id -> button
let chat = null;
let bot = null;
let next = 0;
let unread = 0;
let actionEnds = 0;

const keyOf = (message) => message.media_group_id ?? `m${message.message_id}`;

/** Find or make the user this tab talks as: ?user=ID or ?user=NAME, else the last one, else a new one. */
async function choose() {
  const wanted = query.get("user") ?? localStorage.getItem("chat");
  const users = await api.users();
  const found = users.find((user) => String(user.chat_id) === wanted || user.first_name.toLowerCase() === wanted?.toLowerCase());
  const language = query.get("lang") ?? (found ? found.language_code : navigator.language.startsWith("ru") ? "ru" : "en");
  use(language);
  if (found) {
    if (found.language_code !== language) await api.setLanguage(found.chat_id, language);
    return found.chat_id;
  }
  const names = t("names");
  const name = wanted && !/^\d+$/.test(wanted) ? wanted : names[users.length % names.length];
  const made = (await api.addUser({ first_name: name, language_code: language })).chat_id;
  if (query.has("user")) {
    // A reload must find the same person again, not make one more.
    const address = new URL(location.href);
    address.searchParams.set("user", made);
    history.replaceState(null, "", address);
  }
  return made;
}

async function loadChat(id) {
  [bot, chat] = await Promise.all([api.info(), api.chat(id)]);
  use(chat.user.language_code);
  dressPage();
}

async function loadMessages() {
  const answer = await api.messages(chat.chat_id);
  next = answer.next;
  messages.clear();
  units.clear();
  $("history").replaceChildren();
  for (const message of answer.messages) messages.set(message.message_id, message);
  for (const key of new Set(answer.messages.map(keyOf))) renderUnit(key);
  arrange();
  toEnd("instant");
}

function dressPage() {
  $("bot-name").textContent = bot.bot.first_name;
  document.title = bot.bot.first_name;
  $("notice").replaceChildren(el("span", {}, t("notice")[0]), t("notice")[1]);
  $("notice").title = t("noticeTitle");
  $("dagster").hidden = !bot.dagster_url;
  if (bot.dagster_url) {
    $("dagster").href = bot.dagster_url;
    dress($("dagster"), "graph", t("dagster"));
  }
  dress($("people"), "person", t("people"));
  dress($("to-end"), "down", t("toEnd"));
  showStatus();
  showPinned();
  composer.show(chat);
  if (!units.size && $("history").firstChild) arrange();
}

function showStatus(text) {
  $("status").textContent = text ?? (chat?.blocked ? t("blocked") : t("bot"));
  $("status").classList.toggle("active", Boolean(text));
}

function showPinned() {
  const message = chat.pinned && messages.get(chat.pinned);
  $("pinned").hidden = !message;
  if (message) $("pinned").replaceChildren(el("strong", {}, t("pinned")), el("span", {}, summary(message)));
}

// Units

function membersOf(key) {
  return [...messages.values()].filter((message) => keyOf(message) === key).sort((a, b) => a.message_id - b.message_id);
}

function renderUnit(key) {
  const members = membersOf(key);
  const old = units.get(key);
  if (!members.length) {
    old?.remove();
    units.delete(key);
    return;
  }
  const node = bubble(members, { onCommand: (text) => composer.say(text), onButton, onReply: (message) => composer.answer(message) });
  if (old) {
    old.replaceWith(node);
    node.classList.add("still");
  } else $("history").append(node);
  units.set(key, node);
}

/** Put days between units, and say which of them end a run of one sender. */
function arrange() {
  const history = $("history");
  for (const old of history.querySelectorAll(".day, .empty")) old.remove();
  let previous = null;
  for (const [key, node] of units) {
    const first = membersOf(key)[0];
    const label = day(first.date);
    if (label !== previous?.label) node.before(el("p", { class: "day" }, el("span", {}, label)));
    const follows = previous && previous.label === label && previous.from === first.from.id && first.date - previous.date < 300;
    node.classList.toggle("follows", Boolean(follows));
    previous?.node.classList.toggle("followed", Boolean(follows));
    node.classList.remove("followed");
    previous = { label, from: first.from.id, date: first.date, node };
  }
  if (!units.size) history.append(emptyCard());
  showPinned();
}

function emptyCard() {
  const about = chat.description;
  const text = about ? [el("strong", {}, t("about")), el("p", {}, about)] : [el("strong", {}, t("noMessages"))];
  const picture = el("img", { src: "/page/icon.svg", alt: "", width: 72, height: 72 });
  return el("div", { class: "empty", "data-testid": "empty" }, picture, ...text, el("small", {}, t("noticeTitle")));
}

// Buttons

async function onButton(message, button, node) {
  if (button.pay) await openInvoice(chat.chat_id, { message_id: message.message_id });
  else if (button.url && isInvoice(button.url)) await openInvoice(chat.chat_id, { link: button.url });
  else if (button.url) window.open(button.url, "_blank", "noopener");
  else if (button.copy_text) {
    await navigator.clipboard?.writeText(button.copy_text.text);
    toast(t("copied"));
  } else if (button.callback_data) await pressed(message, button, node);
}

async function pressed(message, button, node) {
  if (node.classList.contains("waiting")) return;
  node.classList.add("waiting");
  node.setAttribute("aria-busy", "true");
  try {
    const { callback_query_id: id } = await api.press(chat.chat_id, message.message_id, button.callback_data);
    waiting.set(id, { message: message.message_id, data: button.callback_data });
    setTimeout(() => released(id), QUERY_MS);
  } catch (error) {
    node.classList.remove("waiting");
    node.removeAttribute("aria-busy");
    toast(error.message);
  }
}

function released(id) {
  const press = waiting.get(id);
  waiting.delete(id);
  if (!press) return;
  for (const node of document.querySelectorAll(".key.waiting")) {
    if (node.dataset.callback !== press.data) continue;
    node.classList.remove("waiting");
    node.removeAttribute("aria-busy");
  }
}

// Events

const handlers = {
  message(event, dirty) {
    messages.set(event.message.message_id, event.message);
    dirty.add(keyOf(event.message));
    if (event.message.from.is_bot) showAction(null);
  },
  edit(event, dirty) {
    messages.set(event.message.message_id, event.message);
    dirty.add(keyOf(event.message));
  },
  delete(event, dirty) {
    const message = messages.get(event.message_id);
    messages.delete(event.message_id);
    if (message) dirty.add(keyOf(message));
  },
  callback_answer(event) {
    released(event.callback_query_id);
    if (event.url) window.open(event.url, "_blank", "noopener");
    if (event.text) (event.show_alert ? alert : toast)(event.text);
  },
  chat_action(event) {
    showAction(event.action);
  },
};

function showAction(action) {
  actionEnds = action ? Date.now() + ACTION_MS : 0;
  showStatus(action ? `${t("actions")[action] ?? t("working")}…` : undefined);
  if (action) setTimeout(() => Date.now() >= actionEnds && showStatus(), ACTION_MS);
}

async function apply(batch) {
  const dirty = new Set();
  for (const event of batch) handlers[event.type]?.(event, dirty);
  for (const key of dirty) renderUnit(key);
  if (dirty.size) arrange();
  const mine = batch.some((event) => event.type === "message" && !event.message.from.is_bot);
  const came = batch.filter((event) => event.type === "message").length;
  if (stuck || mine) toEnd(came ? "smooth" : "instant");
  else if (came) {
    unread += came;
    showToEnd();
  }
  if (batch.some((event) => event.type === "chat" || event.type === "bot")) await loadChat(chat.chat_id);
}

async function follow() {
  for (let pause = 500; ; ) {
    try {
      const answer = await api.events(chat.chat_id, next);
      if (pause > 500) showStatus();
      pause = 500;
      if (answer.missed || answer.next < next) await loadMessages();
      else {
        next = answer.next;
        await apply(answer.events);
      }
    } catch (error) {
      if (error instanceof api.ApiError) location.reload();
      showStatus(t("connecting"));
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, 5000);
    }
  }
}

// Scrolling

const scroller = $("scroller");
const isAtEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;
let stuck = true; // follows the newest message until the reader scrolls up
let lastTop = 0;
let idle = 0;

function toEnd(behavior) {
  unread = 0;
  stuck = true;
  scroller.scrollTo({ top: scroller.scrollHeight, behavior });
  showToEnd();
}

function showToEnd() {
  $("to-end").hidden = stuck || isAtEnd();
  $("to-end").dataset.unread = unread || "";
}

scroller.addEventListener("scroll", () => {
  const up = scroller.scrollTop < lastTop - 2;
  lastTop = scroller.scrollTop;
  if (isAtEnd()) {
    stuck = true;
    unread = 0;
  } else if (up) stuck = false;
  showToEnd();
  scroller.classList.add("scrolling");
  clearTimeout(idle);
  idle = setTimeout(() => scroller.classList.remove("scrolling"), 1200);
});
$("to-end").addEventListener("click", () => toEnd("smooth"));
$("pinned").addEventListener("click", () => jump(chat.pinned));
const keepEnd = new ResizeObserver(() => stuck && toEnd("instant"));
keepEnd.observe(scroller);

$("people").addEventListener("click", () =>
  people(chat, async ({ user, lang, fresh, block }) => {
    $("sheet").close();
    if (block) {
      await api.block(chat.chat_id, !chat.blocked);
      return;
    }
    const target = new URL(location.href);
    target.searchParams.delete("start");
    if (lang) target.searchParams.set("lang", lang);
    if (user) {
      target.searchParams.set("user", user);
      target.searchParams.delete("lang");
    }
    if (fresh) {
      localStorage.removeItem("chat");
      target.searchParams.delete("user");
    }
    location.assign(target);
  }),
);

const id = await choose();
if (!query.has("user")) localStorage.setItem("chat", id);
await loadChat(id);
await loadMessages();
document.documentElement.dataset.ready = "true";
follow();
