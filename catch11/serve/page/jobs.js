// The second view: jobs, how far they are, and what became of each file. The list is asked for again while a job is
// live and the view is open: a stream a job would take up all connections that a browser has for one host.
import { call, get, path, pause, save } from "./api.js";
import { $, button, day, fill, lostBecause, make, row, tried } from "./parts.js";

const ENDED = ["done", "failed", "cancelled"];
const AGAIN = 2; // seconds
const MOST = 1000; // files that are listed
const lines = new Map(); // by the job's id
let here = null; // the signal of the open view
let chosen = null; // the job whose files are shown

const kept = (job) => `catch11-not-taken-${job}`;
const notTaken = (job) => JSON.parse(sessionStorage.getItem(kept(job)) ?? "[]");

// A job that this page sent, and the files of it that the gateway did not take.
export function sent(job, refused) {
  if (refused.length) sessionStorage.setItem(kept(job), JSON.stringify(refused));
  chosen = job;
}

export async function openJobs(signal) {
  here = signal;
  lines.clear();
  if (await refresh()) tried(watch);
}

async function watch() {
  const signal = here;
  do await pause(AGAIN, signal);
  while (document.hidden || (await refresh()));
}

async function refresh() {
  const jobs = await get("/v1/jobs", { signal: here });
  if (jobs.length !== lines.size || jobs.some((job) => !lines.has(job.id))) {
    lines.clear();
    fill($("job-rows"), jobs.map(line), "No jobs yet.");
  }
  for (const job of jobs) lines.get(job.id)(job);
  const shown = jobs.find((job) => job.id === chosen);
  if (shown) await files(shown);
  else $("job-files").hidden = true;
  return jobs.some((job) => !ENDED.includes(job.state));
}

function line(job) {
  const state = make("span");
  const bar = make("progress");
  bar.setAttribute("aria-label", `Progress of the job of ${day(job.created)}`);
  const actions = make("span");
  let before = "";
  lines.set(job.id, (now) => {
    const missed = notTaken(job.id).length;
    state.textContent = `${now.state}${now.error ? `: ${now.error}` : ""}${missed ? `; ${missed} not taken` : ""}`;
    Object.assign(bar, { max: now.total || 1, value: now.done });
    if (now.state === before) return;
    before = now.state;
    const ended = ENDED.includes(now.state);
    actions.replaceChildren();
    if (now.state === "done") actions.append(button("Download", () => save(`/v1/jobs/${job.id}/release`, `${job.id}.zip`), `Download the job of ${day(job.created)}`));
    actions.append(
      button("Files", async () => {
        chosen = job.id;
        await refresh();
        $("job-files-title").focus();
      }, `Files of the job of ${day(job.created)}`),
      button(ended ? "Delete" : "Cancel", async () => {
        await call(`/v1/jobs/${job.id}`, { method: "DELETE" });
        if (ended) sessionStorage.removeItem(kept(job.id));
        await refresh();
      }, `${ended ? "Delete" : "Cancel"} the job of ${day(job.created)}`),
    );
  });
  return row(day(job.created), job.key, job.keep, state, bar, actions);
}

let drawn = "";

async function files(job) {
  const mark = `${job.id} ${job.state} ${job.done}`;
  if (drawn === mark && !$("job-files").hidden) return;
  const { parts } = await get(`/v1/jobs/${job.id}`, { signal: here });
  drawn = mark;
  const refused = notTaken(job.id);
  const out = parts.filter((part) => part.outcome === "released");
  const rest = parts.filter((part) => part.outcome !== "released");
  const all = [
    ...refused.map((one) => row(one.name, `not taken: ${one.reason}`, "")),
    ...rest.map((part) => row(part.name, part.outcome ? `${part.outcome}: ${lostBecause(part)}` : "not done yet", "")),
    ...out.map((part) => row(part.name, "released", button("Download", () => save(`/v1/jobs/${job.id}/files/${path(part.file)}`, part.file.split("/").pop()), `Download ${part.file}`))),
  ];
  $("job-files-title").textContent = `Files of the job of ${day(job.created)}`;
  const said = `${out.length} of ${parts.length + refused.length} released.`;
  $("job-files-said").textContent = all.length > MOST ? `${said} The first ${MOST} are shown; the others lie in the download.` : said;
  fill($("part-rows"), all.slice(0, MOST), "No files yet.");
  $("job-files").hidden = false;
}
