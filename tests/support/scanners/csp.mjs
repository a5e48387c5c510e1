// Print the findings of Google's CSP Evaluator. Reads {name: policy}.
import { text } from "node:stream/consumers";
import evaluator from "csp_evaluator";
import finding from "csp_evaluator/dist/finding.js";
import parser from "csp_evaluator/dist/parser.js";

const policies = JSON.parse(await text(process.stdin));
const found = Object.entries(policies).map(([name, policy]) => {
  const { csp } = new parser.CspParser(policy);
  const findings = new evaluator.CspEvaluator(csp).evaluate();
  return [
    name,
    findings.map(({ severity, directive, value, description }) => ({
      severity: finding.Severity[severity],
      about: [directive, value, description].filter(Boolean).join(": "),
    })),
  ];
});
console.log(JSON.stringify(Object.fromEntries(found)));
