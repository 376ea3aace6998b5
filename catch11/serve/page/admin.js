// The third view: keys and tokens, for those who run the gateway.
import { call, get } from "./api.js";
import { $, button, day, fill, row, say, tried } from "./parts.js";

export async function openAdmin() {
  const [keys, tokens, log] = await Promise.all(["keys", "tokens", "audit"].map((one) => get(`/v1/admin/${one}`)));
  $("log").textContent = log.wrong
    ? `The audit log does not hold: ${log.wrong}.`
    : `The audit log holds: ${log.lines} lines.`;
  fill($("key-rows"), keys.map((one) => row(
    one.name, one.fingerprint.slice(0, 16), one.modality, one.state,
    one.state === "revoked" ? "" : button("Revoke", () => ended(`keys/${one.id}/revoke`, "POST", `key ${one.name}`), `Revoke the key ${one.name}`),
  )), "No keys yet.");
  fill($("token-rows"), tokens.map((one) => row(
    one.id, one.tenant, one.scopes.join(", "), day(one.expires), day(one.used), one.state,
    one.state === "valid" ? button("Revoke", () => ended(`tokens/${one.id}`, "DELETE", `token ${one.id}`), `Revoke the token ${one.id}`) : "",
  )), "No tokens yet.");
}

async function ended(path, method, what) {
  if (!confirm(`Revoke the ${what}? There is no way back.`)) return;
  await call(`/v1/admin/${path}`, { method });
  say(`The ${what} was revoked.`);
  await openAdmin();
}

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
