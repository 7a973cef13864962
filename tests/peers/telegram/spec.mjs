// Checks calls against a machine-readable description of the Bot API, when one is given: does the method exist, are
// the required fields there, is every field known.
import { readFileSync } from 'node:fs';

// Uploads named by attach:// in another field are known by that field, not by their own name.
function attachments(params) {
  const text = JSON.stringify(params);
  return new Set([...text.matchAll(/attach:\/\/([^"\\]+)/g)].map((found) => found[1]));
}

function complaints(method, params, files) {
  const fields = method.fields ?? [];
  const known = new Set(fields.map((field) => field.name));
  const attached = attachments(params);
  const uploads = [...files.keys()].filter((name) => !attached.has(name));
  const given = new Set([...Object.keys(params), ...uploads]);
  const missing = fields.filter((field) => field.required && !given.has(field.name));
  const unknown = [...given].filter((name) => !known.has(name));
  return [
    ...missing.map((field) => `${method.name}: missing required field ${field.name}`),
    ...unknown.map((name) => `${method.name}: unknown field ${name}`),
  ];
}

/** A function (method name, params, files) that answers the list of violations. */
export function loadSpec(path) {
  const { methods } = JSON.parse(readFileSync(path, 'utf8'));
  const byName = new Map(Object.values(methods).map((method) => [method.name.toLowerCase(), method]));
  return (name, params, files) => {
    const method = byName.get(name.toLowerCase());
    return method ? complaints(method, params, files) : [`${name}: unknown method`];
  };
}
