// The lower end of the chat: text, files, commands, the bot's keyboard, the start button.

import * as api from "./api.js";
import { $, dress, el } from "./dom.js";
import { t } from "./i18n.js";
import { Reply } from "./reply.js";
import { toast } from "./notices.js";

const LIMIT = 4096;
const PICTURES = /^image\/(jpeg|png|webp)$/;
const MAX_PHOTO = 10 * 1024 * 1024;

export class Composer {
  #chat = null;
  #reply = new Reply();

  constructor() {
    this.text = $("text");
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.text.addEventListener("keydown", (event) => this.#onKey(event));
    this.text.addEventListener("input", () => this.#onInput());
    this.text.addEventListener("paste", (event) => this.#take(event, event.clipboardData?.files));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => this.#take(event, event.dataTransfer?.files));
    $("attach").addEventListener("click", () => $("file").click());
    $("file").addEventListener("change", () => this.#upload([...$("file").files]));
    $("menu").addEventListener("click", () => this.#showCommands($("commands").hidden ? "" : null));
    $("keys").addEventListener("click", () => this.#toggleKeyboard());
    $("start").addEventListener("click", () => this.#start());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      if ($("commands").hidden) this.#reply.end();
      this.#showCommands(null);
    });
    document.addEventListener("click", (event) => {
      if (!event.target.closest("#commands, #menu, #text")) this.#showCommands(null);
    });
  }

  /** Show what belongs to a chat's state. */
  show(chat) {
    const another = chat.chat_id !== this.#chat?.chat_id;
    if (another) this.#reply.end();
    const keyboard = JSON.stringify(chat.keyboard) !== JSON.stringify(this.#chat?.keyboard);
    this.#chat = chat;
    const open = chat.started && !chat.blocked;
    $("composer").hidden = !open;
    $("start").hidden = open;
    $("start").textContent = chat.blocked ? t("unblock") : t("start");
    $("menu").hidden = chat.commands.length === 0;
    dress($("menu"), "menu", t("menu"));
    dress($("attach"), "clip", t("attach"));
    dress($("send"), "send", t("send"));
    dress($("keys"), "keys", t("keyboard"));
    const placeholder = chat.keyboard?.input_field_placeholder || t("message");
    this.text.placeholder = placeholder;
    this.text.setAttribute("aria-label", t("message"));
    if (keyboard || another) this.#buildKeyboard(chat.keyboard);
    this.#onInput();
  }

  async #start() {
    const chat = this.#chat;
    if (chat.blocked) {
      await api.block(chat.chat_id, false);
      return;
    }
    const payload = new URLSearchParams(location.search).get("start");
    await this.say(payload && /^[\w-]{1,64}$/.test(payload) ? `/start ${payload}` : "/start");
    if (!matchMedia("(pointer: coarse)").matches) this.text.focus();
  }

  /** Answer a message with what is written next. */
  answer(message) {
    if (!$("composer").hidden) this.#reply.begin(message);
  }

  /** Send a text as the user; long ones are split by the server as clients do. */
  async say(text) {
    try {
      await api.say(this.#chat.chat_id, text, this.#reply.take());
      return true;
    } catch (error) {
      toast(error.message);
      return false;
    }
  }

  async #submit() {
    const text = this.text.value.trim();
    if (!text) return;
    this.text.value = "";
    this.#onInput();
    if (!(await this.say(text))) {
      this.text.value = text;
      this.#onInput();
    }
    this.text.focus();
  }

  #onKey(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !matchMedia("(pointer: coarse)").matches) {
      event.preventDefault();
      this.#submit();
    }
  }

  #onInput() {
    const value = this.text.value;
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, innerHeight * 0.35)}px`;
    $("send").disabled = !value.trim();
    const parts = Math.ceil(value.trim().length / LIMIT);
    $("hint").hidden = parts < 2;
    $("hint").textContent = parts < 2 ? "" : t("splits", { n: parts });
    this.#showCommands(/^\/\w*$/.test(value) ? value.slice(1) : null);
  }

  #showCommands(prefix) {
    const box = $("commands");
    const found = prefix === null || !this.#chat ? [] : this.#chat.commands.filter((one) => one.command.startsWith(prefix));
    box.hidden = found.length === 0;
    $("menu").setAttribute("aria-expanded", String(!box.hidden));
    box.replaceChildren(
      ...found.map((one) =>
        el(
          "button",
          { class: "command-row", type: "button", role: "menuitem", onclick: () => this.#command(one.command) },
          el("span", {}, one.description),
          el("code", {}, `/${one.command}`),
        ),
      ),
    );
  }

  #command(name) {
    this.text.value = "";
    this.#onInput();
    this.#showCommands(null);
    this.say(`/${name}`);
  }

  #buildKeyboard(keyboard) {
    const rows = keyboard?.keyboard ?? [];
    const box = $("reply-keyboard");
    box.replaceChildren(
      ...rows.map((row) =>
        el(
          "div",
          { class: "key-row" },
          ...row.map((button) =>
            el("button", { class: "reply-key", type: "button", "data-testid": "reply-button", onclick: () => this.say(button.text) }, button.text),
          ),
        ),
      ),
    );
    $("keys").hidden = rows.length === 0;
    box.hidden = rows.length === 0;
    $("keys").setAttribute("aria-expanded", String(!box.hidden));
    if (keyboard?.force_reply) this.text.focus();
  }

  #toggleKeyboard() {
    const box = $("reply-keyboard");
    box.hidden = !box.hidden;
    $("keys").setAttribute("aria-expanded", String(!box.hidden));
  }

  #take(event, files) {
    if (!files?.length || $("composer").hidden) return;
    event.preventDefault();
    this.#upload([...files]);
  }

  async #upload(files) {
    const caption = this.text.value.trim();
    $("file").value = "";
    $("attach").classList.add("busy");
    try {
      for (const [index, file] of files.entries()) {
        const kind = PICTURES.test(file.type) && file.size <= MAX_PHOTO ? "photo" : "document";
        await api.sendFile(this.#chat.chat_id, kind, file, index === 0 ? caption : "");
      }
      if (caption) this.text.value = "";
    } catch (error) {
      toast(error.message);
    } finally {
      $("attach").classList.remove("busy");
      this.#onInput();
    }
  }
}
