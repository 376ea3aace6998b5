// The demo as a person sees it, and the pictures of the docs: every view of `catch11 serve --demo`, dark and light,
// wide and as on a phone, each looked at by axe-core. Prints one JSON object.
//   node pictures.mjs URL TOKEN FOLDER PICTURE... ; CHROMIUM names the browser, PACKAGES the folder of packages
import { createRequire } from "node:module";
import { join } from "node:path";
import { readFileSync } from "node:fs";

const require = createRequire(join(process.env.PACKAGES, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [url, token, folder, ...pictures] = process.argv.slice(2);
const found = { axe: require("axe-core/package.json").version, views: [], faults: [], small: [], wide: [] };
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

async function look(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const one of violations) {
    const kind = ["serious", "critical"].includes(one.impact) ? found.faults : found.small;
    kind.push(`${name}: ${one.id} (${one.impact}) ${one.nodes[0].html.slice(0, 120)}`);
  }
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) found.wide.push(`${name}: ${over} pixels too wide`);
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  found.views.push(name);
}

for (const [size, width] of [["wide", 1100], ["phone", 390]]) {
  for (const scheme of ["light", "dark"]) {
    const page = await (await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme })).newPage();
    const name = (view) => `${view}-${size}-${scheme}`;
    await page.goto(url);
    await page.getByRole("textbox", { name: "Token" }).waitFor();
    await look(page, name("door"));
    await page.goto(`${url}/#token=${token}`);
    await page.reload();
    await page.getByRole("heading", { name: "Recode files" }).waitFor();
    await look(page, name("ask"));
    await page.getByLabel("Drop files here").setInputFiles(pictures);
    await page.getByRole("button", { name: "Recode", exact: true }).click();
    await page.getByText(/^Done: /).waitFor({ timeout: 400000 });
    for (const one of await page.locator("article").all()) await one.locator("table").first().waitFor({ timeout: 400000 });
    await page.waitForTimeout(500);
    await look(page, name("recode"));
    await page.getByRole("link", { name: "Jobs" }).click();
    await page.locator("#job-rows tr").first().waitFor();
    await look(page, name("jobs"));
    await page.getByRole("link", { name: "Keys and tokens" }).click();
    await page.locator("#token-rows tr").first().waitFor();
    await look(page, name("admin"));
  }
}
await browser.close();
console.log(JSON.stringify(found, null, 1));
