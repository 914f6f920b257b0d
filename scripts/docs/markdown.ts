/** What the generated pages share: their first lines, tables, escaping. */

export function page(title: string, source: string, ...parts: readonly string[]): string {
  return pageBy("npm run docs", title, source, ...parts);
}

/** A page that another command than that writes. */
export function pageBy(
  command: string,
  title: string,
  source: string,
  ...parts: readonly string[]
): string {
  const note = `<!-- Generated from ${source} by \`${command}\`. Do not edit. -->`;
  return `${[`# ${title}`, note, ...parts].join("\n\n")}\n`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
