// The control API of the local Telegram, as the page uses it.

export class ApiError extends Error {}

async function call(method, path, body) {
  const options = { method };
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) Object.assign(options, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new ApiError(answer.error?.message ?? `HTTP ${response.status}`);
  return answer;
}

export const info = () => call("GET", "/sim/info");
export const users = async () => (await call("GET", "/sim/users")).users;
export const addUser = (profile) => call("POST", "/sim/users", { ...profile, started: false });
export const setLanguage = (chat, code) => call("PATCH", `/sim/users/${chat}`, { language_code: code });
export const chat = (id) => call("GET", `/sim/chats/${id}`);
export const messages = (id) => call("GET", `/sim/chats/${id}/messages`);
export const say = (id, text, replyTo) => call("POST", `/sim/chats/${id}/messages`, { text, reply_to_message_id: replyTo });
export const press = (id, message, data) => call("POST", `/sim/chats/${id}/press`, { message_id: message, data });
export const block = (id, blocked) => call("POST", `/sim/chats/${id}/${blocked ? "block" : "unblock"}`);

export function sendFile(id, kind, file, caption) {
  const form = new FormData();
  if (caption) form.append("caption", caption);
  form.append(kind, file, file.name || "picture.png");
  return call("POST", `/sim/chats/${id}/messages`, form);
}

/** Wait for events; an abort ends the waiting. */
export async function events(id, after, signal) {
  const response = await fetch(`/sim/chats/${id}/events?after=${after}&wait=25`, { signal });
  if (!response.ok) throw new ApiError(`HTTP ${response.status}`);
  return response.json();
}

export const fileUrl = (fileId) => `/sim/files/${encodeURIComponent(fileId)}`;
