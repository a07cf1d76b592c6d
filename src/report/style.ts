/** Colours that mean something; on a plain terminal each is the identity. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
}

const same = (text: string) => text;

export const PLAIN: Style = { bold: same, dim: same, good: same, warn: same, bad: same };
