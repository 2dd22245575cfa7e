/** A cell: what it says, already safe to show, and how it is painted, if at all. */
export interface Cell {
  readonly text: string;
  readonly paint?: ((text: string) => string) | undefined;
}

/** Column widths that only grow, so that rows printed one by one stay in line. */
export interface TableLayout {
  row(cells: readonly Cell[]): string;
}

const gap = "  ";

export function createTableLayout(known: readonly (readonly Cell[])[] = []): TableLayout {
  const widths: number[] = [];
  const widen = (cells: readonly Cell[]): void => {
    cells.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(cell.text));
    });
  };
  for (const cells of known) widen(cells);
  return {
    row(cells) {
      widen(cells);
      const padded = cells.map((cell, column) => {
        const painted = cell.paint?.(cell.text) ?? cell.text;
        // The last column isn't padded: no spaces at the ends of lines.
        if (column === cells.length - 1) return painted;
        return painted + " ".repeat((widths[column] ?? 0) - widthOf(cell.text));
      });
      return padded.join(gap).trimEnd();
    },
  };
}

export function formatTable(rows: readonly (readonly Cell[])[]): string {
  const layout = createTableLayout(rows);
  return rows.map((cells) => `${layout.row(cells)}\n`).join("");
}

function widthOf(text: string): number {
  return [...text].length;
}
