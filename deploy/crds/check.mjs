// The custom resources in rendered manifests against the published models of their operators: values by their
// validators, and fields that don't exist by the compiler, because the validators let those pass.
//
//   node check.mjs MANIFEST...
//
// Ends with 1 and a line for each fault.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseAllDocuments } from "yaml";
import { misfits } from "./literals.mjs";

// Where the model of a group is. What is in none of them is Kubernetes' own, and not looked at here.
const MODELS = {
  "cert-manager.io": "cert-manager",
  "external-secrets.io": "external-secrets",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};

function customResources(file) {
  return parseAllDocuments(readFileSync(file, "utf8"))
    .map((document) => document.toJS({ maxAliasCount: -1 }))
    .filter((object) => object?.apiVersion?.split("/")[0] in MODELS)
    .map((object) => ({ object, where: `${basename(file)} ${object.kind}/${object.metadata.name}` }));
}

function modelOf({ apiVersion }) {
  return `@kubernetes-models/${MODELS[apiVersion.split("/")[0]]}/${apiVersion}`;
}

async function wrongValues({ object, where }) {
  const model = (await import(modelOf(object)))[object.kind];
  if (!model) return [`${where}: ${object.apiVersion} has no such kind`];
  try {
    new model(object).validate();
    return [];
  } catch (error) {
    return [`${where}: ${error.message}`];
  }
}

const resources = process.argv.slice(2).flatMap(customResources);
const kinds = new Set(resources.map(({ object }) => object.kind));
const literals = resources.map(({ object, where }) => ({
  value: object,
  type: `I${object.kind}`,
  module: modelOf(object),
  where,
}));
const faults = [...(await Promise.all(resources.map(wrongValues))).flat(), ...misfits(literals)];
for (const fault of faults) console.error(fault);
if (resources.length === 0) console.error("no custom resource was found");
if (faults.length > 0 || resources.length === 0) process.exit(1);
console.log(`${resources.length} custom resources of ${kinds.size} kinds`);
