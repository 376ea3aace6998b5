// More files than the token's rate lets through at once, one of them no picture, and more live jobs than the browser has
// connections for one host. Prints one JSON object.
//   node many.mjs URL TOKEN FILE... ; CHROMIUM names the browser, PACKAGES the folder of packages
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.PACKAGES, "package.json"));
const { chromium } = require("playwright-core");
const [url, token, ...files] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const page = await browser.newPage();
const found = { errors: [], refusals: 0, said: [] };
page.on("pageerror", (error) => found.errors.push(String(error)));
page.on("response", (answer) => { if (answer.status() === 429) found.refusals += 1; });
await page.goto(url);
await page.evaluate(() => {
  window.said = new Set();
  new MutationObserver(() => window.said.add(document.getElementById("said").textContent)).observe(document.getElementById("said"), { childList: true });
});
await page.getByRole("textbox", { name: "Token" }).fill(token);
await page.keyboard.press("Enter");
await page.getByRole("heading", { name: "Recode files" }).waitFor();
await page.getByLabel("Drop files here").setInputFiles(files);
await page.getByRole("button", { name: "Recode", exact: true }).click();
await page.getByRole("heading", { name: /^Files of the job/ }).waitFor({ timeout: 120000 });
await page.locator("#job-rows tr").filter({ hasText: "done" }).first().waitFor({ timeout: 120000 });
await page.locator("#part-rows").getByRole("cell", { name: "released", exact: true }).first().waitFor({ timeout: 30000 });
found.count = await page.locator("#job-files-said").textContent();
found.first = await page.locator("#part-rows tr").first().textContent();
found.said = await page.evaluate(() => [...window.said]);

// Eight jobs that are live: the list moves by itself, and another view opens.
await page.evaluate(async (text) => {
  const headers = { authorization: `Bearer ${text}`, "content-type": "application/json" };
  for (let i = 0; i < 8; i += 1) {
    let answer;
    do {
      answer = await fetch("/v1/jobs", { method: "POST", headers, body: "{}" });
      if (!answer.ok) await new Promise((done) => { setTimeout(done, 1000); });
    } while (!answer.ok);
  }
}, token);
await page.getByRole("link", { name: "Recode" }).click();
await page.getByRole("link", { name: "Jobs" }).click();
await page.locator("#job-rows tr").nth(8).waitFor({ timeout: 30000 });
await page.getByRole("link", { name: "Recode" }).click();
await page.evaluate(() => document.getElementById("key").replaceChildren());
await page.getByRole("link", { name: "Jobs" }).click();
await page.getByRole("link", { name: "Recode" }).click();
await page.locator("#key option").first().waitFor({ state: "attached", timeout: 30000 });
const asked = [];
page.on("request", (request) => asked.push(request.url()));
await page.waitForTimeout(3000);
found.asked = asked;
await browser.close();
console.log(JSON.stringify(found));
