// Toasts, alerts and the sheet with people and languages.

import * as api from "./api.js";
import { $, el, icon } from "./dom.js";
import { current, supported, t } from "./i18n.js";

let fading = 0;

/** Say something for a few seconds. */
export function toast(text) {
  const box = $("toast");
  clearTimeout(fading);
  box.textContent = text;
  box.hidden = false;
  fading = setTimeout(() => {
    box.hidden = true;
  }, 3500 + 30 * text.length);
}

/** Say something that has to be agreed to. */
export function alert(text) {
  $("alert-text").textContent = text;
  $("alert").querySelector("button").textContent = t("ok");
  $("alert").showModal();
}

const LANGUAGES = { ru: "Русский", en: "English" };

/** Show who can be talked as, and in which language. */
export async function people(chat, go) {
  const sheet = $("sheet");
  const users = (await api.users()).slice(-8);
  const rows = users.map((user) =>
    el(
      "button",
      {
        class: "person",
        type: "button",
        "aria-pressed": String(user.chat_id === chat.chat_id),
        onclick: () => go({ user: user.chat_id }),
      },
      el("span", { class: "initial", style: { "--hue": String((user.chat_id * 67) % 360) } }, user.first_name.slice(0, 1)),
      el("span", {}, user.first_name, el("small", {}, LANGUAGES[user.language_code] ?? user.language_code)),
    ),
  );
  const fresh = el("button", { class: "person", type: "button", "data-testid": "new-person", onclick: () => go({ fresh: true }) });
  fresh.append(el("span", { class: "initial plain" }, icon("plus")), el("span", {}, t("newPerson")));
  const languages = supported.map((code) =>
    el(
      "button",
      {
        class: "language",
        type: "button",
        "data-testid": `language-${code}`,
        "aria-pressed": String(code === current()),
        onclick: () => go({ lang: code }),
      },
      LANGUAGES[code],
    ),
  );
  const block = el("button", { class: "person danger", type: "button", "data-testid": "block", onclick: () => go({ block: true }) });
  block.append(el("span", { class: "initial plain" }, icon("block")), el("span", {}, chat.blocked ? t("unblock") : t("block")));
  sheet.setAttribute("aria-label", t("people"));
  sheet.replaceChildren(
    el("h2", {}, t("talkAs")),
    ...rows,
    fresh,
    el("h2", {}, t("language")),
    el("div", { class: "languages" }, ...languages),
    block,
  );
  sheet.onclick = (event) => event.target === sheet && sheet.close();
  sheet.showModal();
}
