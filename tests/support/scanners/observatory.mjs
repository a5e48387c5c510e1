// What Mozilla's Observatory gives pages for their headers: its own retrieval, tests and marks.
// Its command line scans the root of a host at the usual ports; this one, pages as they're named.
// Reads {"host", "httpPort", "httpsPort", "agent", "pages": {path: cookie}}.
import dns from "node:dns";
import fs from "node:fs";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const { host, httpPort, httpsPort, agent, pages } = JSON.parse(await text(process.stdin));

// Browsers know that names below localhost are this machine's; Node asks a resolver.
const lookup = dns.lookup;
dns.lookup = (name, ...more) => lookup(name === host ? "localhost" : name, ...more);

const observatory = (file) => import(import.meta.resolve(`@mdn/mdn-http-observatory/src/${file}`));
// Hosts that browsers reach by TLS from the start, which an installer would fetch. None is ours.
const preloaded = new URL(
  "../conf/hsts-preload.json",
  import.meta.resolve("@mdn/mdn-http-observatory/src/scan.js"),
);
if (!fs.existsSync(fileURLToPath(preloaded))) fs.writeFileSync(fileURLToPath(preloaded), "{}");

const { retrieve } = await observatory("retriever/retriever.js");
const { ALL_TESTS } = await observatory("constants.js");
const { getGradeForScore, getScoreModifier } = await observatory("grader/grader.js");
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await observatory("grader/charts.js");

// As its src/scanner/index.js adds them up, which takes no path and no page with an error.
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
