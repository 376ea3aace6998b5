// Calls of the gateway. A refusal is an Error whose message is the gateway's own sentence.
const KEPT = "catch11-token";

export const token = () => sessionStorage.getItem(KEPT);
export const keepToken = (text) => sessionStorage.setItem(KEPT, text);
export const forgetToken = () => sessionStorage.removeItem(KEPT);

export async function call(path, { method = "GET", json, body, headers = {} } = {}) {
  const sent = { method, headers: { authorization: `Bearer ${token() ?? ""}`, ...headers }, body };
  if (json !== undefined) {
    sent.body = JSON.stringify(json);
    sent.headers["content-type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, sent);
  } catch {
    throw new Error("The gateway cannot be reached; is it running?");
  }
  if (answer.ok) return answer;
  let sentence = `The gateway answered with status ${answer.status}.`;
  try {
    sentence = (await answer.json()).error ?? sentence;
  } catch { /* no sentence came with it */ }
  throw new Error(sentence);
}

export const get = async (path) => (await call(path)).json();

// Server-sent events with the token in a header, which EventSource cannot send.
export async function follow(job, told) {
  const answer = await call(`/v1/jobs/${job}/events`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (held + value).split(/\r?\n/);
    held = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) told(JSON.parse(line.slice(6)));
  }
}

export async function save(path, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await call(path)).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

export const path = (name) => name.split("/").map(encodeURIComponent).join("/");
