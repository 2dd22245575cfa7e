// C0, DEL and C1 controls, and what makes text look like other text: zero-width
// characters, directional marks and overrides, line and paragraph separators.
const treacherous = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/**
 * Text from the node, safe to show: what a terminal would obey or hide is
 * written out as `\u001b`. A pod chooses its interfaces' names, and a plugin
 * its messages.
 */
export function visible(text: string): string {
  return text.replace(treacherous, escaped);
}

/** The same for text of several lines, which keep their ends. */
export function visibleLines(text: string): string[] {
  return text.replace(/\s+$/, "").split(/\r?\n/).map(visible);
}

/** JSON text with its strings' treacherous characters escaped: the same value for whoever parses it. */
export function visibleJson(json: string): string {
  // What JSON.stringify wrote between the values is a newline or a space.
  return json.replace(treacherous, (character) => (character === "\n" ? character : escaped(character)));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
