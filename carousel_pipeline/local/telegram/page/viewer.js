// Pictures at full size: swipe, arrows, Esc, and the file itself to keep.

import { fileUrl } from "./api.js";
import { $, dress, el } from "./dom.js";
import { t } from "./i18n.js";

/** Show pictures ({fileId, width, height, caption}) beginning with the one at `index`. */
export function view(pictures, index) {
  const dialog = $("viewer");
  const slides = pictures.map((picture, i) =>
    el(
      "figure",
      { "data-testid": "lightbox-slide" },
      el("img", {
        src: fileUrl(picture.fileId),
        width: picture.width,
        height: picture.height,
        alt: picture.caption || t("photoOf", { n: i + 1, total: pictures.length }),
        draggable: "false",
      }),
    ),
  );
  const strip = el("div", { class: "strip" }, ...slides);
  const counter = el("p", { class: "counter", "data-testid": "lightbox-counter", "aria-live": "polite" });
  const caption = el("p", { class: "viewer-caption" });
  const save = el("a", { class: "icon-button", download: "" });
  const close = el("button", { class: "icon-button", type: "button", "data-testid": "lightbox-close", onclick: () => dialog.close() });
  const previous = el("button", { class: "icon-button step previous", type: "button", onclick: () => go(shown - 1) });
  const next = el("button", { class: "icon-button step next", type: "button", onclick: () => go(shown + 1) });
  dress(save, "save", t("download"));
  dress(close, "close", t("close"));
  dress(previous, "left", t("previous"));
  dress(next, "right", t("next"));

  let shown = -1;
  const go = (to, behavior = "smooth") => {
    const target = Math.min(pictures.length - 1, Math.max(0, to));
    strip.scrollTo({ left: target * strip.clientWidth, behavior });
    update(target);
  };
  const update = (to) => {
    if (to === shown) return;
    shown = to;
    counter.textContent = pictures.length > 1 ? `${to + 1} / ${pictures.length}` : "";
    caption.textContent = pictures[to].caption ?? "";
    save.href = `${fileUrl(pictures[to].fileId)}?download`;
    previous.hidden = to === 0;
    next.hidden = to === pictures.length - 1;
  };
  strip.addEventListener("scrollend", () => update(Math.round(strip.scrollLeft / strip.clientWidth)));
  strip.addEventListener("click", (event) => event.target.tagName !== "IMG" && dialog.close());

  dialog.setAttribute("aria-label", t("photo"));
  dialog.replaceChildren(el("div", { class: "viewer-bar" }, counter, save, close), strip, previous, next, caption);
  dialog.onkeydown = (event) => {
    if (event.key === "ArrowLeft") go(shown - 1);
    else if (event.key === "ArrowRight") go(shown + 1);
    else return;
    event.preventDefault();
  };
  dialog.onclose = () => dialog.replaceChildren();
  dialog.showModal();
  go(index, "instant");
}
