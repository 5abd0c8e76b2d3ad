// Formatted text: a string and Telegram's entities (offsets in UTF-16 units, as JavaScript counts) to nodes.

import { el } from "./dom.js";

const TAGS = {
  bold: "strong",
  italic: "em",
  underline: "u",
  strikethrough: "s",
  code: "code",
  pre: "pre",
  blockquote: "blockquote",
  expandable_blockquote: "blockquote",
};

/** Return nodes for `text`; `onCommand` is called with a bot command that is clicked. */
export function formatted(text, entities = [], onCommand = () => {}) {
  const ordered = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return range(text, ordered, 0, text.length, onCommand);
}

function range(text, entities, start, end, onCommand) {
  const nodes = [];
  let at = start;
  for (let i = 0; i < entities.length; i += 1) {
    const entity = entities[i];
    if (entity.offset < at || entity.offset >= end) continue;
    const stop = Math.min(entity.offset + entity.length, end);
    if (entity.offset > at) nodes.push(text.slice(at, entity.offset));
    const inner = entities.slice(i + 1).filter((other) => other.offset < stop);
    nodes.push(wrap(entity, text.slice(entity.offset, stop), range(text, inner, entity.offset, stop, onCommand), onCommand));
    at = stop;
  }
  if (at < end) nodes.push(text.slice(at, end));
  return nodes;
}

function wrap(entity, plain, children, onCommand) {
  const kind = entity.type;
  if (kind === "url" || kind === "text_link") return link(entity.url ?? (/^\w+:\/\//.test(plain) ? plain : `http://${plain}`), children);
  if (kind === "email") return link(`mailto:${plain}`, children);
  if (kind === "bot_command")
    return el("button", { class: "command", type: "button", onclick: () => onCommand(plain) }, ...children);
  if (kind === "spoiler") {
    const reveal = (event) => event.currentTarget.classList.add("revealed");
    return el("span", { class: "spoiler", tabindex: "0", onclick: reveal, onkeydown: reveal }, ...children);
  }
  if (kind === "mention" || kind === "hashtag" || kind === "cashtag" || kind === "text_mention")
    return el("span", { class: "tag" }, ...children);
  const properties = { class: kind.replace("_", "-") };
  if (entity.language) properties["data-language"] = entity.language;
  return TAGS[kind] ? el(TAGS[kind], properties, ...children) : el("span", {}, ...children);
}

function link(target, children) {
  if (!/^(https?|mailto|tg):/i.test(target)) return el("span", {}, ...children);
  return el("a", { href: target, target: "_blank", rel: "noopener noreferrer" }, ...children);
}
