import { existsSync, readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';

const folder = new URL('../../schemas/', import.meta.url);
const known = new Map<string, ValidateFunction>();

/**
 * What of a document does not fit the schema of its command, or another one; the empty list where all does.
 */
export function checkJsonOutput(document: { command: string }, name = document.command): string[] {
  const check = validatorOf(name);
  if (check(document)) return [];
  return (check.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `${instancePath || '/'} ${message} ${JSON.stringify(params)}`,
  );
}

function validatorOf(command: string): ValidateFunction {
  const name = `${command.replaceAll(' ', '-')}.json`;
  const file = existsSync(new URL(name, folder)) ? name : 'error.json';
  const found = known.get(file) ?? compile(file);
  known.set(file, found);
  return found;
}

function compile(file: string): ValidateFunction {
  const schema: unknown = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
  const ajv = new Ajv({ allErrors: false, strict: false, formats: { 'date-time': isTime } });
  return ajv.compile(close(schema) as object);
}

/** ISO 8601, to the microsecond where the server says so. */
function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
}

/** The published schemas allow new keys, because those break no reader; ours must name every key. */
function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(close);
  if (typeof value !== 'object' || value === null) return value;
  const closed = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, close(one)]));
  const isOpenObject = closed.type === 'object' && 'properties' in closed;
  return isOpenObject && !('additionalProperties' in closed)
    ? { ...closed, additionalProperties: false }
    : closed;
}
