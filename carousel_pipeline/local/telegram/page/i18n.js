// The page's own words. What the bot says is the bot's business.

const WORDS = {
  en: {
    bot: "bot",
    connecting: "connecting…",
    blocked: "you blocked this bot",
    notice: ["local ", "demo"],
    noticeTitle: "This chat runs on your machine. Nothing is sent to Telegram.",
    dagster: "Open the Dagster UI",
    people: "People and language",
    about: "What can this bot do?",
    noMessages: "No messages here yet",
    start: "Start",
    unblock: "Unblock",
    block: "Block the bot",
    message: "Message",
    send: "Send",
    attach: "Attach a file",
    keyboard: "Show or hide the keyboard",
    menu: "Menu",
    toEnd: "Go to the newest message",
    edited: "edited",
    reply: "Reply",
    noReply: "Do not reply",
    today: "Today",
    yesterday: "Yesterday",
    forwarded: "Forwarded from",
    pinned: "Pinned message",
    photo: "Photo",
    photoOf: "Photo {n} of {total}",
    open: "Open",
    download: "Download",
    close: "Close",
    next: "Next",
    previous: "Previous",
    copied: "Copied",
    ok: "OK",
    splits: "Will be sent as {n} messages",
    talkAs: "You talk as",
    newPerson: "New person",
    language: "Language",
    invoice: "Invoice",
    file: "File",
    units: ["B", "KB", "MB", "GB"],
    names: ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo"],
    actions: {
      typing: "typing",
      upload_photo: "sending a photo",
      upload_document: "sending a file",
      upload_video: "sending a video",
      upload_voice: "sending a voice message",
    },
    working: "working",
  },
  ru: {
    bot: "бот",
    connecting: "соединение…",
    blocked: "вы заблокировали бота",
    notice: ["локальное ", "демо"],
    noticeTitle: "Чат работает на вашем компьютере. В Telegram ничего не отправляется.",
    dagster: "Открыть Dagster",
    people: "Люди и язык",
    about: "Что умеет этот бот?",
    noMessages: "Здесь пока нет сообщений",
    start: "Начать",
    unblock: "Разблокировать",
    block: "Заблокировать бота",
    message: "Сообщение",
    send: "Отправить",
    attach: "Прикрепить файл",
    keyboard: "Показать или скрыть клавиатуру",
    menu: "Меню",
    toEnd: "К последнему сообщению",
    edited: "изменено",
    reply: "Ответить",
    noReply: "Не отвечать",
    today: "Сегодня",
    yesterday: "Вчера",
    forwarded: "Переслано от",
    pinned: "Закреплённое сообщение",
    photo: "Фото",
    photoOf: "Фото {n} из {total}",
    open: "Открыть",
    download: "Скачать",
    close: "Закрыть",
    next: "Вперёд",
    previous: "Назад",
    copied: "Скопировано",
    ok: "ОК",
    splits: "Уйдёт сообщениями: {n}",
    talkAs: "Вы пишете как",
    newPerson: "Новый человек",
    language: "Язык",
    invoice: "Счёт",
    file: "Файл",
    units: ["Б", "КБ", "МБ", "ГБ"],
    names: ["Анна", "Борис", "Вера", "Глеб", "Даша", "Егор", "Женя", "Зоя"],
    actions: {
      typing: "печатает",
      upload_photo: "отправляет фото",
      upload_document: "отправляет файл",
      upload_video: "отправляет видео",
      upload_voice: "отправляет голосовое",
    },
    working: "работает",
  },
};

let language = "en";

export const supported = ["ru", "en"];
export const current = () => language;

/** Choose the page's language from a user's language code. */
export function use(code) {
  language = code?.startsWith("ru") ? "ru" : "en";
  document.documentElement.lang = language;
}

/** Say something in the page's language; {name} stands for a value. */
export function t(key, values = {}) {
  const text = WORDS[language][key];
  return typeof text === "string" ? text.replace(/\{(\w+)\}/g, (_, name) => values[name]) : text;
}

export const time = (seconds) =>
  new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(seconds * 1000));

export function day(seconds) {
  const date = new Date(seconds * 1000);
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return t("today");
  if (days === 1) return t("yesterday");
  return new Intl.DateTimeFormat(language, { day: "numeric", month: "long" }).format(date);
}

export function size(bytes) {
  const units = t("units");
  let power = 0;
  for (; bytes >= 1024 && power < units.length - 1; power += 1) bytes /= 1024;
  const digits = power > 0 && bytes < 100 ? 1 : 0;
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(bytes)} ${units[power]}`;
}
