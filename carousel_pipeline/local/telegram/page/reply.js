// Answering one message: its words stand above the input until something is sent or the cross is pressed.

import { summary } from "./bubbles.js";
import { $, dress, el } from "./dom.js";
import { t } from "./i18n.js";

export class Reply {
  #message = null;

  /** Answer `message` with what is sent next. */
  begin(message) {
    this.#message = message;
    const close = el("button", { class: "icon-button", type: "button", "data-testid": "reply-cancel", onclick: () => this.end() });
    dress(close, "close", t("noReply"));
    $("reply-bar").replaceChildren(
      el("div", { class: "quote" }, el("strong", {}, message.from.first_name), el("span", {}, summary(message))),
      close,
    );
    $("reply-bar").hidden = false;
    $("text").focus();
  }

  /** Answer nothing any more. */
  end() {
    this.#message = null;
    $("reply-bar").hidden = true;
  }

  /** Return the id of the message that is answered, and be done with it. */
  take() {
    const id = this.#message?.message_id;
    this.end();
    return id;
  }
}
