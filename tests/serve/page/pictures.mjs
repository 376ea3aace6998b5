// The pictures of the docs, of `catch11 serve --demo`: node pictures.mjs URL TOKEN FOLDER PICTURE...
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.PACKAGES, "package.json"));
const { chromium } = require("playwright-core");
const [url, token, folder, ...pictures] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
for (const [name, width, scheme] of [["gateway-wide", 1100, "light"], ["gateway-phone", 390, "dark"]]) {
  const page = await (await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme })).newPage();
  await page.goto(`${url}/#token=${token}`);
  await page.getByLabel("Drop files here").setInputFiles(pictures);
  await page.getByRole("button", { name: "Recode", exact: true }).click();
  await page.getByText(/^Done: /).waitFor({ timeout: 200000 });
  for (const one of await page.locator("article").all()) await one.locator("table").first().waitFor({ timeout: 200000 });
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
await browser.close();
