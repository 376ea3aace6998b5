// The third view: keys and tokens, for those who run the gateway.
import { call, get, path } from "./api.js";
import { $, button, day, fill, make, row, say, tried } from "./parts.js";

export async function openAdmin() {
  const [keys, grants, tokens, log] = await Promise.all(["keys", "grants", "tokens", "audit"].map((one) => get(`/v1/admin/${one}`)));
  $("log").textContent = log.wrong
    ? `The audit log does not hold: ${log.wrong}.`
    : `The audit log holds: ${log.lines} lines.`;
  fill($("key-rows"), keys.map((one) => row(
    one.name, one.fingerprint.slice(0, 16), one.modality, one.state,
    make("span", {},
      one.state === "active" ? button("Rotate", () => done(ROTATE(one.name), `keys/${one.id}/rotate`, "POST", `The key ${one.name} has a new secret.`), `Rotate the key ${one.name}`) : null,
      one.state === "revoked" ? null : revoke(`keys/${one.id}/revoke`, "POST", `key ${one.name}`)),
  )), "No keys yet.");
  const active = keys.filter((one) => one.state === "active");
  $("grant-key").replaceChildren(...active.map((one) => make("option", { value: one.id, textContent: one.name })));
  fill($("grant-rows"), grants.map((one) => row(
    one.tenant, one.key, one.purpose, one.keep.join(", "), `${one.left} of ${one.quota}`,
    button("End", () => done(END(one.tenant, one.key), `keys/${path(active.find((key) => key.name === one.key).id)}/grants/${path(one.tenant)}`, "DELETE", `${one.tenant} has no grant of ${one.key} any more.`), `End the grants of ${one.key} to ${one.tenant}`),
  )), "No grants yet.");
  fill($("token-rows"), tokens.map((one) => row(
    one.id, one.tenant, one.scopes.join(", "), day(one.expires), day(one.used), one.state,
    one.state === "valid" ? revoke(`tokens/${one.id}`, "DELETE", `token ${one.id}`) : "",
  )), "No tokens yet.");
}

const ROTATE = (key) => `Give the key ${key} a new secret? Its grants move to it. What a tenant had of the old one is withheld from then on.`;
const END = (tenant, key) => `Take all grants of ${key} from ${tenant}?`;

const revoke = (address, method, what) =>
  button("Revoke", () => done(`Revoke the ${what}? There is no way back.`, address, method, `The ${what} was revoked.`), `Revoke the ${what}`);

async function done(asked, address, method, told) {
  if (!confirm(asked)) return;
  await call(`/v1/admin/${address}`, { method });
  await openAdmin();
  say(told);
  $("admin-title").focus(); // the button is gone
}

$("new-grant").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  tried(async () => {
    const [tenant, purpose] = [form.get("tenant").trim(), form.get("purpose").trim()];
    const json = { tenant, purpose, quota: Number(form.get("quota")), keep: form.getAll("keep") };
    if (!json.keep.length) throw new Error("Say what files may keep: tick one at least.");
    await call(`/v1/admin/keys/${path(form.get("key"))}/grants`, { method: "POST", json });
    await openAdmin();
    say(`${tenant} may have files that keep ${json.keep.join(", ")}.`);
  });
});

$("new-token").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  tried(async () => {
    const json = { tenant: form.get("tenant"), days: Number(form.get("days")), scopes: form.getAll("scope") };
    const { token } = await (await call("/v1/admin/tokens", { method: "POST", json })).json();
    await openAdmin();
    $("made").textContent = `${token} – shown this once`;
  });
});
