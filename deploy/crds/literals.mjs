// Objects against types, by the TypeScript compiler: a literal must not have a field that its type lacks, nor lack one that it has.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const HERE = dirname(fileURLToPath(import.meta.url));

// A line for each fault of `literals`: each is an object (`value`) that is to be of a `type` which a `module` exports, and is
// called `where`. A module that is a path begins here.
export function misfits(literals) {
  const folder = mkdtempSync(join(HERE, "node_modules/.literals-"));
  try {
    const files = new Map();
    literals.forEach(({ value, type, module, where }, at) => {
      const file = join(folder, `${at}.ts`);
      const from = module.startsWith("./") ? `../../${module.slice(2)}` : module;
      const literal = JSON.stringify(value, null, 1);
      writeFileSync(file, `import type { ${type} } from "${from}";\nexport const it: ${type} = ${literal};\n`);
      files.set(file, where);
    });
    const options = {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      types: [],
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
    };
    return ts
      .getPreEmitDiagnostics(ts.createProgram([...files.keys()], options))
      .map(({ file, messageText }) => {
        const where = files.get(file?.fileName) ?? file?.fileName;
        return `${where}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
      });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
