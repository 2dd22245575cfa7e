/** The commands that a page shows with a prompt, in their order. */
export function typedCommands(markdown: string): readonly string[] {
  return Array.from(
    markdown.matchAll(/^```console\n(?<text>[\s\S]*?)^```/gm),
    ({ groups }) => groups?.["text"] ?? "",
  )
    .flatMap((block) => block.split("\n"))
    .filter((line) => line.startsWith("$ "))
    .map((line) => line.slice(2));
}
