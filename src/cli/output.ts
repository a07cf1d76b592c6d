/** Rises when a shape changes in a way that breaks its readers. */
const FORMAT_VERSION = 1;

/** The one shape of `--json`: which command, and what it gives. */
export function toJson(command: string, data: object): string {
  const body = { formatVersion: FORMAT_VERSION, command, ok: true, ...data };
  return `${JSON.stringify(body, null, 2)}\n`;
}

/** The same on one line, for output that goes on and on. */
export function toJsonLine(command: string, data: object): string {
  return `${JSON.stringify({ formatVersion: FORMAT_VERSION, command, ok: true, ...data })}\n`;
}
