import { styleText } from "node:util";

export type Paint = (text: string) => string;

/** What stands out in the output; every paint is the identity where colours aren't wanted. */
export interface Colours {
  readonly heading: Paint;
  readonly good: Paint;
  readonly pending: Paint;
  readonly bad: Paint;
  readonly quiet: Paint;
}

export function createColours(wanted: boolean): Colours {
  const paint = (style: Parameters<typeof styleText>[0]): Paint =>
    wanted ? (text) => styleText(style, text, { validateStream: false }) : (text) => text;
  return {
    heading: paint("bold"),
    good: paint("green"),
    pending: paint("yellow"),
    bad: paint("red"),
    quiet: paint("dim"),
  };
}
