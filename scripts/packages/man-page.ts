/** What a page of docs/ becomes as a manual page. */
export interface ManPage {
  readonly name: string;
  readonly section: number;
  /** What it is about, in one line for whatis. */
  readonly summary: string;
  /** In Markdown, as docs/ uses it. */
  readonly page: string;
  readonly version: string;
  /** As 2026-11-28. */
  readonly date: string;
  readonly seeAlso: readonly string[];
}

/** The page in man(7). Throws for what the manual has no form for. */
export function manPage({ name, section, summary, page, version, date, seeAlso }: ManPage): string {
  return `${[
    `.TH ${name.toUpperCase()} ${section} "${date}" "podplug ${version}" "podplug"`,
    ".SH NAME",
    `${escape(name)} \\- ${escape(summary)}`,
    ".SH DESCRIPTION",
    ...blocksOf(page).flatMap(roffOf),
    ".SH SEE ALSO",
    seeAlso.map((other) => other.replace(/^(.*)(\(\d\))$/, "\\fB$1\\fR$2")).join(",\n"),
  ]
    .join("\n")
    // A section begins with a paragraph by itself.
    .replaceAll(/^(\.SH .*\n)\.PP\n/gm, "$1")}\n`;
}

/** Paragraphs, headings and items; a fenced block is one, with its blank lines. */
function blocksOf(page: string): readonly string[] {
  const withoutTitle = page.replace(/^# .*\n/, "").replaceAll(/<!--[\s\S]*?-->\n/g, "");
  const blocks = withoutTitle.matchAll(
    /^```[\s\S]*?^```|^- .*(?:\n {2}.*)*|^#+ .*|(?:^(?!```|- |#).+\n?)+/gm,
  );
  return Array.from(blocks, ([block]) => block.trimEnd());
}

function roffOf(block: string): readonly string[] {
  if (block.startsWith("|")) throw new Error(`a manual page has no tables: ${block}`);
  if (block.startsWith("#")) return [`.SH ${inline(block.replace(/^#+ /, "").toUpperCase())}`];
  if (block.startsWith("```")) {
    const lines = block.split("\n").slice(1, -1).map(escape);
    return [".PP", ".nf", ".RS 2", ...lines, ".RE", ".fi"];
  }
  if (block.startsWith("- ")) return [".IP \\(bu 2", ...filled(block.slice(2))];
  return [".PP", ...filled(block)];
}

/** A sentence's end is told by a line's. */
const filled = (text: string): readonly string[] =>
  inline(
    text
      .split("\n")
      .map((line) => line.trim())
      .join(" "),
  ).split(/(?<=[.:?])\s+(?=[A-Z])/);

/** Code and emphasis in bold; of a link its text. */
function inline(text: string): string {
  return escape(text)
    .replaceAll(/\[([^\]]+)\]\([^)]+\)/g, "$1")
    .replaceAll(
      /\*\*([^*]+)\*\*|`([^`]+)`/g,
      (_, strong: string, code: string) => `\\fB${strong ?? code}\\fR`,
    );
}

/** Nothing in it is a request, and a hyphen is the one that is typed. */
function escape(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(?=[.'])/, "\\&");
}
