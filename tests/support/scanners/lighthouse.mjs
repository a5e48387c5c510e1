// Print Lighthouse's scores for accessibility and best practices, with the Chromium of this machine.
// Reads {"chromium", "origin", "agent", "pages": {path: {cookie: value}}}.
import { text } from "node:stream/consumers";
import lighthouse from "lighthouse";
import puppeteer from "puppeteer-core";

const { chromium, origin, agent, pages } = JSON.parse(await text(process.stdin));
const flags = {
  onlyCategories: ["accessibility", "best-practices"],
  emulatedUserAgent: agent,
  disableStorageReset: true,
};
const browser = await puppeteer.launch({
  executablePath: chromium,
  acceptInsecureCerts: true, // the certificate comes from a temporary authority
  args: ["--no-sandbox"], // the sandbox does not run as root
});
const found = {};
try {
  for (const [path, cookies] of Object.entries(pages)) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    for (const [name, value] of Object.entries(cookies)) {
      await page.setCookie({ name, value, url: origin, secure: true, httpOnly: true, path: "/" });
    }
    const { lhr } = await lighthouse(origin + path, flags, undefined, page);
    const score = ([id, { score }]) => [id, Math.round(score * 100)];
    found[path] = {
      url: lhr.finalDisplayedUrl,
      error: lhr.runtimeError?.message ?? "",
      scores: Object.fromEntries(Object.entries(lhr.categories).map(score)),
      failed: Object.values(lhr.audits)
        .filter((audit) => audit.score !== null && audit.score < 1)
        .map((audit) => `${audit.id}: ${JSON.stringify(audit.details?.items ?? [])}`),
    };
    await context.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(found));
