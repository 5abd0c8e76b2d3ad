// Building the page out of nodes. Text from chats only ever becomes text nodes, so no message can put markup into the page.

export const $ = (id) => document.getElementById(id);

/** Make an element: el("a", {class: "x", href: "…", onclick: f, dataset: {…}, style: {…}}, ...children). */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

const ICONS = {
  send: "M3.4 20.4 21 12 3.4 3.6 3.4 10.2 15 12 3.4 13.8Z",
  clip: "M16.5 6.5v10a4.5 4.5 0 0 1-9 0V5.8a3 3 0 0 1 6 0v9.7a1.5 1.5 0 0 1-3 0V6.5",
  keys: "M4 7h16v10H4zM7 10h.01M10 10h.01M13 10h.01M16 10h.01M8 14h8",
  menu: "M5 8h14M5 12h14M5 16h14",
  close: "M6 6l12 12M18 6 6 18",
  reply: "M10 7V4L3.500 10.500 10 17v-3.500c5 0 8 1.500 10.500 5-.800-6-4-11.500-10.500-11.500Z",
  down: "M6 10l6 6 6-6",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  save: "M12 4v11m-5-4.5 5 5 5-5M5 20h14",
  file: "M7 3h7l5 5v13H7zM14 3v5h5",
  copy: "M9 9h10v11H9zM15 9V5H5v10h4",
  link: "M8 16 17 7M9 7h8v8",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20c1-4 4-5.5 7.500-5.500s6.500 1.500 7.500 5.500",
  plus: "M12 5v14M5 12h14",
  pin: "M9 4h6l-.7 6 3.200 3.200v1.300h-11v-1.300L9.700 10ZM12 14.500V20",
  graph: "M5 6h5v5H5zM14 13h5v5h-5zM10 8.500h4a2.500 2.500 0 0 1 2.500 2.500v2",
  check: "M2.500 12.500 7 17l9.500-10M11 16l1.200 1L22 7",
  star: "m12 3.200 2.700 5.600 6.100.800-4.500 4.200 1.100 6.100-5.400-3-5.400 3 1.100-6.100L3.200 9.600l6.100-.800Z",
  block: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM5.800 5.800l12.400 12.400",
};

/** Make one of our icons; drawn in the colour of the text around it. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", `icon-${name}`);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Put an icon and an accessible name on a button. */
export function dress(button, name, label) {
  button.replaceChildren(icon(name));
  button.setAttribute("aria-label", label);
  button.title = label;
}

/** Bring a message into view and let it shine for a moment. */
export function jump(messageId) {
  const unit = document.querySelector(`[data-message-id="${messageId}"]`)?.closest(".unit");
  unit?.scrollIntoView({ block: "center", behavior: "smooth" });
  unit?.animate([{ filter: "brightness(1)" }, { filter: "brightness(0.86)" }, { filter: "brightness(1)" }], { duration: 1100, delay: 250 });
}
