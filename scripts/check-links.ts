/** Checks that the links of every Markdown page lead to a file of the tree, and to a heading in it. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const root = join(import.meta.dirname, "..");
const pages = globSync("**/*.md", {
  cwd: root,
  exclude: (path) => /(^|\/)(node_modules|third_party|dist|\.cache)$/.test(path),
});

function proseOf(page: string): string {
  return readFileSync(join(root, page), "utf8").replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, "");
}

/** As GitHub makes them: lower case, without punctuation, spaces as hyphens. */
function anchorsOf(page: string): readonly string[] {
  const headings = proseOf(page).matchAll(/^#+\s+(?<heading>.*)$/gm);
  return Array.from(headings, ({ groups }) =>
    (groups?.["heading"] ?? "")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function faultOf(page: string, target: string): string | undefined {
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? page : normalize(join(dirname(page), path));
  if (!existsSync(join(root, file))) return `${page}: ${target}: there is no ${file}`;
  if (anchor !== undefined && file.endsWith(".md") && !anchorsOf(file).includes(anchor)) {
    return `${page}: ${target}: ${file} has no such heading`;
  }
  return undefined;
}

let links = 0;
for (const page of pages) {
  for (const { groups } of proseOf(page).matchAll(/\]\((?<target>[^)\s]+)\)/g)) {
    const target = groups?.["target"] ?? "";
    if (/^[a-z]+:/.test(target)) continue;
    links += 1;
    const fault = faultOf(page, target);
    if (fault === undefined) continue;
    console.error(fault);
    process.exitCode = 1;
  }
}
console.log(`${links} links in ${pages.length} pages`);
