// Paying with play money: the sheet that asks, and what stays in the chat afterwards.

import { el, icon } from "./dom.js";
import { current } from "./i18n.js";
import { toast } from "./notices.js";

const LINK = "https://t.me/$";
const WORDS = {
  en: {
    confirm: "Pay with Stars",
    play: "Play money: nobody is charged.",
    month: "every 30 days",
    pay: "Confirm and pay",
    cancel: "Not now",
    paid: "Paid",
    again: "This invoice is paid.",
    timeout: "The bot did not answer within ten seconds, so nothing was paid.",
    sent: "You paid {stars} Stars.",
    back: "{stars} Stars came back to you.",
    waiting: "Asking the bot…",
  },
  ru: {
    confirm: "Оплата звёздами",
    play: "Деньги игрушечные: ничего не списывается.",
    month: "каждые 30 дней",
    pay: "Подтвердить и оплатить",
    cancel: "Не сейчас",
    paid: "Оплачено",
    again: "Этот счёт оплачен.",
    timeout: "Бот не ответил за десять секунд, поэтому ничего не оплачено.",
    sent: "Вы заплатили звёзд: {stars}.",
    back: "К вам вернулось звёзд: {stars}.",
    waiting: "Спрашиваем бота…",
  },
};

const w = (key, values = {}) => WORDS[current()][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

const style = el("link", { rel: "stylesheet", href: "/page/pay.css" });
document.head.append(style);
const sheet = el("dialog", { class: "pay", "data-testid": "pay-sheet" });
document.body.append(sheet);

export const isInvoice = (url) => url.startsWith(LINK);

async function ask(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error?.message ?? `HTTP ${response.status}`);
  return answer;
}

const post = (body) => ({ method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/** Show an invoice, named by {message_id} or {link}, and pay it when the person says so. */
export async function openInvoice(chat, named) {
  let invoice;
  try {
    invoice = await ask(`/sim/chats/${chat}/invoice?${new URLSearchParams(named)}`);
  } catch (error) {
    toast(error.message);
    return;
  }
  const problem = el("p", { class: "pay-problem", role: "alert", "data-testid": "pay-problem" });
  const confirm = el(
    "button",
    { class: "pay-confirm", type: "button", "data-testid": "pay-confirm", onclick: () => pay(chat, named, confirm, problem) },
    w("pay"),
    icon("star"),
    String(invoice.amount),
  );
  const cancel = el("button", { class: "pay-cancel", type: "button", onclick: () => sheet.close() }, w("cancel"));
  const price = el("p", { class: "pay-price" }, icon("star"), String(invoice.amount), invoice.monthly && el("small", {}, w("month")));
  sheet.setAttribute("aria-label", w("confirm"));
  sheet.replaceChildren(
    el("div", { class: "pay-art", "aria-hidden": "true" }, icon("star")),
    el("h2", {}, invoice.title),
    el("p", {}, invoice.description),
    price,
    ...(invoice.paid ? [el("p", { class: "pay-done" }, w("again"))] : [el("p", { class: "pay-play" }, w("play")), problem, confirm]),
    cancel,
  );
  sheet.onclick = (event) => event.target === sheet && sheet.close();
  sheet.showModal();
}

async function pay(chat, named, confirm, problem) {
  confirm.disabled = true;
  confirm.setAttribute("aria-busy", "true");
  problem.textContent = w("waiting");
  try {
    const answer = await ask(`/sim/chats/${chat}/pay`, post(named));
    if (answer.status === "paid") {
      sheet.close();
      toast(w("paid"));
      return;
    }
    problem.textContent = answer.status === "timeout" ? w("timeout") : answer.text;
  } catch (error) {
    problem.textContent = error.message;
  }
  confirm.disabled = false;
  confirm.removeAttribute("aria-busy");
}

/** Return the line that a payment or its return leaves in the chat, or null for any other message. */
export function paymentNote(message) {
  const paid = message.successful_payment ?? message.refunded_payment;
  if (!paid) return null;
  const text = w(message.successful_payment ? "sent" : "back", { stars: paid.total_amount });
  return el("p", { class: "pay-note", "data-testid": "payment", "data-message-id": message.message_id }, icon("star"), text);
}
