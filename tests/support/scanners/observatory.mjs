// Print the marks of Mozilla's HTTP Observatory for pages, by its own retrieval, tests and grading.
// Its command line scans only the root of a host at the default ports; this program scans any page.
// Reads {"host", "httpPort", "httpsPort", "agent", "pages": {path: cookie}}.
import dns from "node:dns";
import fs from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const { host, httpPort, httpsPort, agent, pages } = JSON.parse(await text(process.stdin));

// Browsers resolve names below localhost to this machine themselves; Node asks a resolver.
const lookup = dns.lookup;
dns.lookup = (name, ...more) => lookup(name === host ? "localhost" : name, ...more);

const observatory = (file) => import(import.meta.resolve(`@mdn/mdn-http-observatory/src/${file}`));
// The HSTS preload list, which an install script would download. No host of the tests is on it.
const preloaded = new URL(
  "../conf/hsts-preload.json",
  import.meta.resolve("@mdn/mdn-http-observatory/src/scan.js"),
);
if (!fs.existsSync(fileURLToPath(preloaded))) fs.writeFileSync(fileURLToPath(preloaded), "{}");

const { retrieve } = await observatory("retriever/retriever.js");
const { ALL_TESTS } = await observatory("constants.js");
const { getGradeForScore, getScoreModifier } = await observatory("grader/grader.js");
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await observatory("grader/charts.js");

// Adds marks up as its src/scanner/index.js does, which accepts no path and no error pages.
function judge(retrieved) {
  const results = ALL_TESTS.map((test) => test(retrieved));
  const marks = results.map((result) => getScoreModifier(result.result));
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 100);
  const uncurved = sum(marks.filter((mark) => mark < 0));
  const score = uncurved >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? sum(marks) : uncurved;
  const tests = results.map((result, i) => [result.constructor.name, [result.result, marks[i]]]);
  return { ...getGradeForScore(score), tests: Object.fromEntries(tests) };
}

const found = {};
for (const [path, cookie] of Object.entries(pages)) {
  const headers = ["Accept: text/html", `User-Agent: ${agent}`, `Cookie: ${cookie}`];
  const retrieved = await retrieve(host, { path, headers, httpPort, httpsPort });
  const { status, verified } = retrieved.responses.auto;
  const url = retrieved.session.redirectHistory.at(-1).url.href;
  found[path] = { url, status, verified, ...judge(retrieved) };
}
console.log(JSON.stringify(found));
