// Grafana's dashboards against the types that Grafana publishes of them, in the version that the compose file starts.
//
//   node dashboards.mjs DASHBOARD...
//
// Ends with 1 and a line for each fault.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { misfits } from "./literals.mjs";

const literals = process.argv.slice(2).map((file) => ({
  value: JSON.parse(readFileSync(file, "utf8")),
  type: "OurDashboard",
  module: "./dashboard.ts",
  where: basename(file),
}));
const faults = misfits(literals);
for (const fault of faults) console.error(fault);
if (literals.length === 0) console.error("no dashboard was named");
if (faults.length > 0 || literals.length === 0) process.exit(1);
console.log(`${literals.length} dashboards`);
