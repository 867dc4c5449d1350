// Puts the licence of everything that the page is made of beside it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const BUILDS_ONLY = new Set(["vite"]);
const folder = (name) => `node_modules/${name}`;
const described = (path) => JSON.parse(readFileSync(`${path}/package.json`, "utf8"));

function withAllTheyNeed(names, known = new Set()) {
  for (const name of names) {
    if (known.has(name)) continue;
    known.add(name);
    withAllTheyNeed(Object.keys(described(folder(name)).dependencies ?? {}), known);
  }
  return known;
}

function licenceOf(name) {
  const { version, license } = described(folder(name));
  const file = readdirSync(folder(name)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(`${folder(name)}/${file}`, "utf8").trim() : `Licence: ${license}`;
  return `${name} ${version}\n${"-".repeat(72)}\n${text}\n`;
}

const direct = Object.keys(described(".").dependencies).filter((name) => !BUILDS_ONLY.has(name));
const parts = [...withAllTheyNeed(direct)].sort().map(licenceOf);
writeFileSync("dist/licences.txt", `This page is made with these packages.\n\n\n${parts.join("\n\n")}`);
