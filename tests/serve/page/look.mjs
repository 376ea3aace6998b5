// The page as a person uses it, in headless Chromium. Prints one JSON object; pictures go to the folder.
//   node look.mjs URL TOKEN ADMIN FOLDER PICTURE... ; CHROMIUM names the browser, NODE_PATH the packages
import { createRequire } from "node:module";
import { join } from "node:path";
import { readFileSync } from "node:fs";

const require = createRequire(join(process.env.PACKAGES, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [url, token, admin, folder, ...pictures] = process.argv.slice(2);
const found = { faults: [], hosts: [], errors: [], wide: [] };
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

async function open(facts) {
  const page = await (await browser.newContext({ acceptDownloads: true, ...facts })).newPage();
  page.on("request", (one) => {
    const host = one.url().startsWith("http") ? new URL(one.url()).origin : url;
    if (host !== url) found.hosts.push(one.url());
  });
  page.on("pageerror", (error) => found.errors.push(String(error)));
  await page.goto(url);
  return page;
}

async function signIn(page, text) {
  await page.getByRole("textbox", { name: "Token" }).fill(text);
  await page.keyboard.press("Enter");
}

// axe is evaluated as the debugger does it: the page's own policy lets no foreign script in.
async function look(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const one of violations) if (["serious", "critical"].includes(one.impact)) found.faults.push(`${name}: ${one.id} ${one.nodes[0].html}`);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) found.wide.push(`${name}: ${over} pixels too wide`);
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

async function recode(page) {
  await page.getByLabel("Drop files here").setInputFiles(pictures);
  await page.getByRole("button", { name: "Recode", exact: true }).click();
  await page.getByText(/^Done: /).waitFor({ timeout: 240000 });
  await page.locator("article table").first().waitFor({ timeout: 240000 });
}

const wide = await open({ viewport: { width: 1200, height: 900 }, colorScheme: "light" });
await look(wide, "door");
await signIn(wide, "c11_000000000000_wrong");
await wide.getByRole("alert").filter({ hasText: "valid token" }).waitFor();
found.refused = await wide.getByRole("alert").textContent();
await signIn(wide, token);
await wide.getByRole("heading", { name: "Recode files" }).waitFor();
await recode(wide);
found.rows = await wide.locator("article table tbody tr").allTextContents();
const slider = wide.getByRole("slider").first();
await slider.focus();
for (let i = 0; i < 10; i += 1) await wide.keyboard.press("ArrowRight");
found.slider = await slider.inputValue();
const [download] = await Promise.all([wide.waitForEvent("download"), wide.getByRole("button", { name: /^Download all/ }).click()]);
await download.saveAs(join(folder, "release.zip"));
await look(wide, "recode-wide");
await wide.getByRole("link", { name: "Jobs" }).click();
await wide.locator("#job-rows tr").first().waitFor();
await look(wide, "jobs-wide");

const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2 });
await signIn(phone, token);
await phone.getByRole("heading", { name: "Recode files" }).waitFor();
await recode(phone);
await look(phone, "recode-phone");
await phone.getByRole("link", { name: "Jobs" }).click();
await phone.locator("#job-rows tr").first().waitFor();
await look(phone, "jobs-phone");

const ops = await open({ viewport: { width: 1200, height: 900 }, colorScheme: "dark" });
await signIn(ops, admin);
await ops.getByRole("heading", { name: "Keys and tokens" }).waitFor();
await ops.locator("#new-token").getByRole("textbox", { name: "Tenant" }).fill("new");
await ops.getByRole("button", { name: "Make it" }).click();
await ops.locator("output", { hasText: "shown this once" }).waitFor();
found.made = (await ops.locator("output").textContent()).startsWith("c11_");
await ops.locator("output").evaluate((one) => { one.textContent = ""; });
// A grant and a rotation by keyboard alone: from one field to the next, and the button in a row.
await ops.locator("#grant-tenant").focus();
for (const key of ["c", "Tab", "s", "Tab", "7", "Tab", "Tab", "Tab", "Tab", "Space", "Tab", "Enter"]) await ops.keyboard.press(key);
await ops.getByRole("status").filter({ hasText: "c may have files that keep answer, all." }).waitFor();
ops.on("dialog", (one) => { found.asked = one.message(); one.accept(); });
await ops.getByRole("button", { name: "Rotate the key ours" }).focus();
await ops.keyboard.press("Enter");
await ops.getByRole("status").filter({ hasText: "The key ours has a new secret." }).waitFor();
found.grants = await ops.locator("#grant-rows tr").allTextContents();
found.keys = await ops.locator("#key-rows tr").allTextContents();
found.focus = await ops.evaluate(() => document.activeElement.id);
await look(ops, "admin-wide");
await ops.setViewportSize({ width: 390, height: 844 });
await look(ops, "admin-phone");

// By keyboard alone: Tab reaches the file field and the button.
const reached = [];
await wide.getByRole("link", { name: "Recode" }).click();
await wide.locator("#recode").waitFor();
await wide.evaluate(() => document.body.focus());
for (let i = 0; i < 40; i += 1) {
  await wide.keyboard.press("Tab");
  reached.push(await wide.evaluate(() => document.activeElement.id));
}
found.keyboard = ["key", "purpose", "files", "go", "leave"].every((id) => reached.includes(id));
await browser.close();
console.log(JSON.stringify(found));
