// Rich messages: blocks of text and media, the slideshow among them.

import { fileUrl } from "./api.js";
import { dress, el } from "./dom.js";
import { t } from "./i18n.js";
import { file } from "./bubbles.js";
import { view } from "./viewer.js";

const STYLES = { bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", marked: "mark", subscript: "sub", superscript: "sup" };

function richText(text) {
  if (text === undefined || text === null) return [];
  if (typeof text === "string") return [text];
  if (Array.isArray(text)) return text.flatMap(richText);
  const inner = richText(text.text);
  if (text.type === "url") return [el("a", { href: text.url, target: "_blank", rel: "noopener noreferrer" }, ...inner)];
  return [STYLES[text.type] ? el(STYLES[text.type], {}, ...inner) : el("span", {}, ...inner)];
}

/** Return nodes for a list of rich blocks. */
export function richBlocks(blocks, act) {
  return blocks.map((block) => one(block, act));
}

function one(block, act) {
  switch (block.type) {
    case "heading":
      return el(`h${Math.min(6, Math.max(2, (block.size ?? 1) + 1))}`, {}, ...richText(block.text));
    case "divider":
      return el("hr");
    case "pre":
      return el("pre", {}, ...richText(block.text));
    case "list":
      return el("ul", { class: "rich-list" }, ...block.items.map((item) => el("li", { "data-label": item.label }, ...richBlocks(item.blocks, act))));
    case "blockquote":
      return el("blockquote", {}, ...richBlocks(block.blocks, act));
    case "details":
      return el("details", { open: block.is_open }, el("summary", {}, ...richText(block.summary)), ...richBlocks(block.blocks, act));
    case "slideshow":
    case "collage":
      return slideshow(block);
    case "photo":
      return slideshow({ blocks: [block], caption: block.caption });
    case "document":
      return file(block.document);
    default:
      return el("p", {}, ...richText(block.text));
  }
}

function slideshow(block) {
  const photos = block.blocks.filter((inner) => inner.photo).map((inner) => inner.photo[inner.photo.length - 1]);
  const pictures = photos.map((photo) => ({ fileId: photo.file_id, width: photo.width, height: photo.height }));
  const slides = photos.map((photo, index) =>
    el(
      "button",
      { class: "slide", type: "button", "aria-label": t("photoOf", { n: index + 1, total: photos.length }), onclick: () => view(pictures, index) },
      el("img", { src: fileUrl(photo.file_id), width: photo.width, height: photo.height, alt: "", loading: "lazy" }),
    ),
  );
  const strip = el("div", { class: "strip" }, ...slides);
  const counter = el("span", { class: "slide-counter" });
  const move = (by) => strip.scrollBy({ left: by * strip.clientWidth, behavior: "smooth" });
  const previous = el("button", { class: "icon-button step previous", type: "button", onclick: () => move(-1) });
  const next = el("button", { class: "icon-button step next", type: "button", onclick: () => move(1) });
  dress(previous, "left", t("previous"));
  dress(next, "right", t("next"));
  const update = () => {
    const shown = strip.clientWidth ? Math.round(strip.scrollLeft / strip.clientWidth) : 0;
    counter.textContent = `${shown + 1} / ${photos.length}`;
    previous.hidden = shown === 0;
    next.hidden = shown === photos.length - 1;
  };
  strip.addEventListener("scroll", update);
  update();
  const extras = photos.length > 1 ? [previous, next, counter] : [];
  const caption = block.caption ? el("figcaption", {}, ...richText(block.caption.text)) : null;
  return el("figure", { class: "slideshow", "data-testid": "slideshow" }, strip, ...extras, caption);
}
