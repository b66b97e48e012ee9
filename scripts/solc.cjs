#!/usr/bin/env node
// What slither takes for the solc binary: the npm compiler behind the two options slither asks with.
// Usage: solc.cjs --version · solc.cjs --standard-json < input

const fs = require("fs");
const solc = require("solc");

const readFile = (name) =>
  fs.existsSync(name) ? { contents: fs.readFileSync(name, "utf8") } : { error: `not found: ${name}` };

if (process.argv.includes("--version")) console.log(`Version: ${solc.version()}`);
else process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: readFile }));
