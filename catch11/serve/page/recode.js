// The first view: files in, a card each out.
import { call, follow, get, path, save } from "./api.js";
import { card } from "./compare.js";
import { sent } from "./jobs.js";
import { $, button, make, say, tried, wrong } from "./parts.js";

const WORDS = {
  answer: "its answer: the first class, and nothing more",
  scores: "its scores too",
  features: "what its last layer reads too",
  all: "everything its first layer sees (counted against your quota)",
};
const OF_ONE_FILE = [409, 413, 415, 422]; // statuses
let keys = [];
let busy = false;

export async function openRecode() {
  $("go").disabled = true;
  keys = await get("/v1/keys");
  $("key").replaceChildren(...keys.map((one) => new Option(`${one.name} (${one.fingerprint.slice(0, 12)})`, one.id)));
  if (!keys.length) wrong(new Error("No key is granted to you yet; ask the operator for one."));
  offerPurposes();
  ready();
}

// Nothing can be sent before it is known for which key.
function ready() {
  $("go").disabled = busy || !keys.length;
}

const chosen = () => keys.find((one) => one.id === $("key").value);

function offerPurposes() {
  const grants = chosen()?.grants ?? [];
  $("purpose").replaceChildren(...grants.map((one) => new Option(one.purpose)));
  offerKeeps();
}

function offerKeeps() {
  const grant = chosen()?.grants.find((one) => one.purpose === $("purpose").value);
  $("keeps").replaceChildren(
    ...(grant?.keep ?? []).map((keep, index) => {
      const input = make("input", { type: "radio", name: "keep", value: keep, checked: index === 0, disabled: keep === "all" && grant.left < 1 });
      const left = keep === "all" ? ` – ${grant.left} files left` : "";
      return make("label", {}, input, ` ${WORDS[keep] ?? keep}${left}`);
    }),
  );
}

async function recode(files) {
  const begun = performance.now();
  busy = true;
  ready();
  try {
    const ask = {
      key: $("key").value, purpose: $("purpose").value,
      keep: document.querySelector("input[name=keep]:checked")?.value,
    };
    const { id } = await (await call("/v1/jobs", { method: "POST", json: ask })).json();
    let refused;
    try {
      refused = await upload(id, files);
      if (refused.length === files.length) throw new Error(refused[0].reason);
      await call(`/v1/jobs/${id}/start`, { method: "POST" });
    } catch (error) {
      await call(`/v1/jobs/${id}`, { method: "DELETE" }).catch(() => {});
      throw new Error(`Nothing was recoded: ${error.message}`);
    }
    sent(id, refused);
    if (files.length > 20) {
      location.hash = "#jobs";
      return;
    }
    await follow(id, (job) => say(`${job.state}: ${job.done} of ${job.total}`));
    show(await get(`/v1/jobs/${id}`), files, refused, (performance.now() - begun) / 1000);
  } finally {
    busy = false;
    ready();
  }
}

const nameOf = (file) => file.webkitRelativePath || file.name;

// All files to the gateway; those that it did not take, each with the reason. Whatever concerns more than one file
// stops it: a job without some of its files would look whole.
async function upload(id, files) {
  const refused = [];
  for (const [index, file] of files.entries()) {
    const name = nameOf(file);
    say(`Sending ${index + 1} of ${files.length}`);
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      refused.push({ name, reason: "expected a file that can be read here, found a folder or one that was changed" });
      continue;
    }
    try {
      await call(`/v1/jobs/${id}/parts/${path(name)}`, { method: "PUT", body: file });
    } catch (error) {
      if (!OF_ONE_FILE.includes(error.status)) throw error;
      refused.push({ name, reason: error.message });
    }
  }
  return refused;
}

function show(job, files, refused, seconds) {
  if (job.state !== "done") throw new Error(job.error || `The job is ${job.state}; see Jobs.`);
  const named = new Map(files.map((file) => [nameOf(file), file]));
  const written = job.parts.filter((part) => part.outcome === "released").length;
  say(`Done: ${written} of ${files.length} released.`);
  const all = button(`Download all ${written} with their list`, () => save(`/v1/jobs/${job.id}/release`, `${job.id}.zip`));
  $("results").replaceChildren(
    ...(written ? [make("p", {}, all)] : []),
    ...refused.map((one) => make("article", { className: "card" }, make("h3", { textContent: one.name }), make("p", { className: "error", textContent: `Not taken: ${one.reason}` }))),
    ...job.parts.map((part) => card(part, named.get(part.name), job.id, $("key").value, seconds / job.total)),
  );
}

$("key").addEventListener("change", offerPurposes);
$("purpose").addEventListener("change", offerKeeps);
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const files = [...$("files").files];
  tried(async () => {
    if (!files.length) throw new Error("Choose at least one file.");
    await recode(files);
  });
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) $("files").files = event.dataTransfer.files;
  });
}
