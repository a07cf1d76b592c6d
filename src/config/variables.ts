import { EvdbError } from '../errors.ts';
import { VARIABLE_NAME } from '../text/variable-name.ts';
import { type Environment, readVariable } from './environment.ts';
import type { LayerInput } from './layers.ts';
import type { ConfigEntry } from './resolve.ts';

/** Variables of migrations in a config file; null, undefined and empty values count as not set. */
export type VariablesInput = Readonly<Record<string, string | null | undefined>>;

const PREFIX = 'EVDB_VAR_';

/**
 * Finds the values of the variables of migrations: each one in the first source that has it.
 *
 * @throws EvdbError `CONFIG_INVALID` for a flag with a name that no variable can have, or without a value
 */
export function resolveVariables({
  flags,
  environment,
  files,
}: Pick<LayerInput, 'environment' | 'files'> & {
  flags: Readonly<Record<string, string>> | undefined;
}): { variables: Record<string, string>; entries: ConfigEntry[] } {
  const found = new Map<string, { value: string; source: string }>();
  for (const { settings, source } of files.toReversed()) {
    for (const [name, value] of Object.entries((settings.variables ?? {}) as VariablesInput))
      if (value) found.set(name, { value, source });
  }
  for (const origin of ['.env', 'environment'] as const) {
    for (const [name, one] of listOfOrigin(environment, origin)) found.set(name, one);
  }
  for (const [name, value] of Object.entries(flags ?? {})) {
    checkFlag(name, value);
    found.set(name, { value, source: 'flag --set' });
  }
  const sorted = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    variables: Object.fromEntries(sorted.map(([name, { value }]) => [name, value])),
    entries: sorted.map(([name, one]) => ({ key: `variables.${name}`, ...one })),
  };
}

function listOfOrigin(environment: Environment, origin: 'environment' | '.env') {
  const all = origin === 'environment' ? environment.real : environment.dotenv;
  return Object.keys(all).flatMap((key) => {
    const name = key.startsWith(PREFIX) ? key.slice(PREFIX.length).toLowerCase() : '';
    const one = VARIABLE_NAME.test(name) ? readVariable(environment, origin, key) : undefined;
    return one ? [[name, one] as const] : [];
  });
}

function checkFlag(name: string, value: string): void {
  const refuse = (problem: string, hint: string) => {
    throw new EvdbError('CONFIG_INVALID', `flag --set: ${problem}`, { hint });
  };
  if (!VARIABLE_NAME.test(name)) refuse(`"${name}" cannot be the name of a variable`, NAME_HINT);
  if (value === '') refuse(`"${name}" has no value`, 'Is the variable that you pass set?');
}

const NAME_HINT = 'Write lower case letters, digits and "_", such as --set app_role=web.';

/** What is wrong with the variables of a config file; undefined where nothing is. */
export function variablesProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'an object with a text for each variable';
  const wrong = Object.entries(value).find(
    ([name, text]) => !VARIABLE_NAME.test(name) || (text != null && typeof text !== 'string'),
  );
  if (wrong === undefined) return undefined;
  return VARIABLE_NAME.test(wrong[0])
    ? `an object with a text for each variable, and "${wrong[0]}" is none`
    : `an object whose names are lower case letters, digits and "_", not "${wrong[0]}"`;
}
