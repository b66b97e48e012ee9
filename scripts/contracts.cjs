// Compiles chain/contracts with solc-js and writes one artifact for each deployable contract to chain/artifacts.
// Usage: node scripts/contracts.cjs [output folder]
// The output is the same for the same sources, so a test can compile again and compare.

const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const ROOT = path.join(__dirname, "..");
const SOURCES = path.join(ROOT, "chain", "contracts");
const LIBRARIES = path.join(ROOT, "node_modules");
const OUTPUT = process.argv[2] || path.join(ROOT, "chain", "artifacts");

// `paris` runs on every network; without the metadata trailer a comment does not change the bytecode.
const SETTINGS = {
  evmVersion: "paris",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  optimizer: { enabled: true, runs: 100000 }, // for calls, which are many; a deployment happens once
};

const readSources = () =>
  Object.fromEntries(
    fs
      .readdirSync(SOURCES)
      .filter((name) => name.endsWith(".sol"))
      .sort()
      .map((name) => [name, { content: fs.readFileSync(path.join(SOURCES, name), "utf8") }]),
  );

const findImport = (name) => {
  const file = path.join(LIBRARIES, name);
  return fs.existsSync(file) ? { contents: fs.readFileSync(file, "utf8") } : { error: `not found: ${name}` };
};

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};

const compile = () => {
  const outputSelection = { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } };
  const input = { language: "Solidity", sources: readSources(), settings: { ...SETTINGS, outputSelection } };
  const result = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const problems = result.errors || [];
  problems.forEach((problem) => console.error(problem.formattedMessage));
  if (problems.some((problem) => problem.severity === "error")) process.exit(1);
  return result.contracts;
};

const artifact = (name, contract) => ({
  abi: contract.abi,
  bytecode: `0x${contract.evm.bytecode.object}`,
  contract: name,
  deployedBytecodeSha256: crypto
    .createHash("sha256")
    .update(Buffer.from(contract.evm.deployedBytecode.object, "hex"))
    .digest("hex"),
  settings: SETTINGS,
  solc: solc.version(),
});

const compiled = compile();
fs.mkdirSync(OUTPUT, { recursive: true });
for (const source of Object.keys(compiled).filter((file) => !file.includes("/"))) {
  const name = path.basename(source, ".sol");
  const contract = compiled[source][name];
  if (!contract || !contract.evm.bytecode.object) continue;
  const text = `${JSON.stringify(sorted(artifact(name, contract)), null, 1)}\n`;
  fs.writeFileSync(path.join(OUTPUT, `${name}.json`), text);
  const size = contract.evm.deployedBytecode.object.length / 2;
  console.log(`${name.padEnd(26)} ${String(size).padStart(6)} bytes`);
}
