// Calls of the gateway. A refusal is an Error whose message is the gateway's own sentence, with its status.
import { say } from "./parts.js";

const KEPT = "catch11-token";
const TRIES = 12; // of a call that the gateway asks to wait with
const LOST = 4; // of a call that may be said again and is lost on the way
const LONGEST = 120; // seconds of one wait

export const token = () => sessionStorage.getItem(KEPT);
export const keepToken = (text) => sessionStorage.setItem(KEPT, text);
export const forgetToken = () => sessionStorage.removeItem(KEPT);

export const pause = (seconds, signal) => new Promise((done, left) => {
  const end = () => left(signal.reason);
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  setTimeout(() => { signal?.removeEventListener("abort", end); done(); }, seconds * 1000);
});

export async function call(path, { method = "GET", json, body, headers = {}, signal } = {}) {
  const sent = { method, headers: { authorization: `Bearer ${token() ?? ""}`, ...headers }, body, signal };
  if (json !== undefined) {
    sent.body = JSON.stringify(json);
    sent.headers["content-type"] = "application/json";
  }
  for (let number = 1; ; number += 1) {
    let answer;
    try {
      answer = await fetch(path, sent);
    } catch (error) {
      if (signal?.aborted) throw error;
      if (number >= LOST || !["GET", "PUT"].includes(method)) throw new Error("The gateway cannot be reached; is it running?");
      await pause(number, signal);
      continue;
    }
    if (answer.ok) return answer;
    let sentence = `The gateway answered with status ${answer.status}.`;
    try {
      sentence = (await answer.json()).error ?? sentence;
    } catch { /* no sentence came with it */ }
    const wait = Number(answer.headers.get("retry-after"));
    if (![429, 503].includes(answer.status) || !wait || number >= TRIES) throw Object.assign(new Error(sentence), { status: answer.status });
    say(`Waiting, as the gateway says: ${sentence}`);
    await pause(Math.min(wait, LONGEST), signal);
  }
}

export const get = async (path, facts) => (await call(path, facts)).json();

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
