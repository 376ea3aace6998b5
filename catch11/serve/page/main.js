// Who is here, and which view is shown.
import { forgetToken, get, keepToken, token } from "./api.js";
import { openAdmin } from "./admin.js";
import { openJobs } from "./jobs.js";
import { $, say, tried } from "./parts.js";
import { openRecode } from "./recode.js";

const VIEWS = { recode: openRecode, jobs: openJobs, admin: openAdmin };
let me = null;
let left = new AbortController(); // of the view that is open

async function enter() {
  me = await get("/v1/me");
  $("to-admin").hidden = !me.scopes.includes("admin");
  for (const link of document.querySelectorAll("nav a[href='#recode'], nav a[href='#jobs']")) link.hidden = !me.scopes.includes("recode");
  $("door").hidden = true;
  $("leave").hidden = false;
  await view();
}

async function view() {
  if (!me) return;
  const asked = location.hash.slice(1);
  const usual = me.scopes.includes("recode") ? "recode" : "admin";
  const name = asked in VIEWS ? asked : usual;
  for (const one of Object.keys(VIEWS)) $(one).hidden = one !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  say("");
  left.abort();
  left = new AbortController();
  await VIEWS[name](left.signal);
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(async () => {
    keepToken($("token").value.trim());
    $("token").value = "";
    await enter();
    $("main").focus();
  });
});
$("leave").addEventListener("click", () => {
  forgetToken();
  location.hash = "";
  location.reload();
});
addEventListener("hashchange", () => tried(view));

// The demo hands its token over behind the #, which is sent to nobody; it does not stay in the address.
const handed = new URLSearchParams(location.hash.slice(1)).get("token");
if (handed) {
  keepToken(handed);
  history.replaceState(null, "", "/");
}
if (token()) tried(enter);
