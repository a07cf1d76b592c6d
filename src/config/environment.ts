import { join } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readPlainFile, whyUnreadable } from '../file-system.ts';
import { expandVariables, hideLiteralDollars } from './expand.ts';

/** Variables of one origin, as in `process.env`. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** The real environment and what `.env` adds to it. */
export interface Environment {
  real: Variables;
  dotenv: Variables;
}

/** A variable that has a value. */
export interface FoundVariable {
  value: string;
  /** `environment NAME` or `.env NAME`. */
  source: string;
}

/**
 * Reads a variable from one origin. An empty value counts as not set, as many tools cannot
 * unset a variable; an empty one in the real environment still hides that of `.env`.
 */
export function readVariable(
  environment: Environment,
  origin: 'environment' | '.env',
  name: string,
): FoundVariable | undefined {
  const real = environment.real[name];
  if (origin === '.env' && real !== undefined) return undefined;
  const value = origin === 'environment' ? real : environment.dotenv[name];
  return value === undefined || value === '' ? undefined : { value, source: `${origin} ${name}` };
}

/** Reads a variable from the real environment, else from `.env`. */
export function findVariable(environment: Environment, name: string): FoundVariable | undefined {
  return readVariable(environment, 'environment', name) ?? readVariable(environment, '.env', name);
}

/**
 * Reads the `.env` of a folder, in the syntax of `node --env-file`, and puts in the variables that
 * its values name.
 * `process.env` stays as it is: a library does not change its host.
 *
 * @param real the environment, which comes before the lines of the file
 * @returns no variables where there is no such file
 * @throws {EvdbError} CONFIG_INVALID where it may not be read
 */
export async function readDotenv(
  directory: string,
  real: Variables,
): Promise<{ variables: Variables; warnings: string[] }> {
  const path = join(directory, '.env');
  let text: string;
  try {
    text = readPlainFile(path).toString('utf8');
  } catch (error) {
    // A folder of that name is a Python environment, nothing of ours.
    const isAbsent = ['ENOENT', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
    if (isAbsent) return { variables: {}, warnings: [] };
    throw new EvdbError('CONFIG_INVALID', `${path} ${whyUnreadable(error)}`, {
      hint: 'It may name the database. Let this user read it, or move it away.',
      cause: error,
    });
  }
  const { parseEnv } = await import('node:util');
  const parsed = parseEnv(hideLiteralDollars(text.replace(/^\uFEFF/, '')));
  const { variables, unknown } = expandVariables(parsed, real);
  return { variables, warnings: [...unknown].flatMap(([name, missing]) => tell(name, missing)) };
}

/** Other lines are other tools': theirs to judge. */
const OWN = /^(EVDB_|DB_|PG|DATABASE_URL$)/;

function tell(name: string, missing: string[]): string[] {
  if (!OWN.test(name)) return [];
  return missing.map(
    (one) => `.env ${name}: there is no variable ${one}, so \${${one}} stays as it stands`,
  );
}
