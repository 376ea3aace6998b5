// The second view: jobs and how far they are.
import { call, follow, get, save } from "./api.js";
import { $, button, day, fill, make, row, tried } from "./parts.js";

const ENDED = ["done", "failed", "cancelled"];

export async function openJobs() {
  const jobs = await get("/v1/jobs");
  fill($("job-rows"), jobs.map(line), "No jobs yet.");
}

function line(job) {
  const state = make("span", { textContent: job.error ? `${job.state}: ${job.error}` : job.state });
  const bar = make("progress", { max: job.total || 1, value: job.done });
  bar.setAttribute("aria-label", `Progress of the job of ${day(job.created)}`);
  const actions = make("span");
  const act = (now) => {
    actions.replaceChildren();
    if (now.state === "done") actions.append(button("Download", () => save(`/v1/jobs/${job.id}/release`, `${job.id}.zip`), `Download the job of ${day(job.created)}`));
    actions.append(button(ENDED.includes(now.state) ? "Delete" : "Cancel", async () => {
      await call(`/v1/jobs/${job.id}`, { method: "DELETE" });
      await openJobs();
    }, `${ENDED.includes(now.state) ? "Delete" : "Cancel"} the job of ${day(job.created)}`));
  };
  act(job);
  if (!ENDED.includes(job.state)) {
    tried(() => follow(job.id, (now) => {
      state.textContent = now.error ? `${now.state}: ${now.error}` : now.state;
      Object.assign(bar, { max: now.total || 1, value: now.done });
      act(now);
    }));
  }
  return row(day(job.created), job.key, job.keep, state, bar, actions);
}
