import { EvdbError } from '../../errors.ts';
import { listDirectiveLines } from '../../sql/comments.ts';
import { type Statement, splitStatements } from '../../sql/statements.ts';
import {
  listVariableUses,
  substituteVariables,
  type VariableValues,
  withValues,
  writtenText,
} from '../../sql/variables.ts';
import type { Directives, VariableDeclaration } from './directives.ts';
import type { Script } from './source.ts';

/**
 * Gives a script the values of the variables that it declares. What is kept of it and what its checksum
 * is over stays as it is written.
 *
 * @throws {EvdbError} VARIABLE_UNSET for one without a value
 */
export function bindVariables(script: Script, values: VariableValues | undefined): Script {
  const unset = unsetVariables(script, values);
  if (unset.length > 0) throw variablesUnset([{ path: script.path, names: unset }]);
  return bind(script, values ?? {});
}

/** The same for who runs nothing: a variable without a value has its own name for one. */
export function bindPlaceholders(script: Script, values: VariableValues | undefined): Script {
  const names = unsetVariables(script, values);
  return bind(script, { ...values, ...Object.fromEntries(names.map((name) => [name, name])) });
}

function bind(script: Script, values: VariableValues): Script {
  const { variables = [] } = script.directives;
  if (variables.length === 0) return script;
  const own = Object.fromEntries(variables.map(({ name }) => [name, values[name] as string]));
  return { ...script, values: own, directives: withQueries(script.directives, own) };
}

/** The queries of a header run too. */
function withQueries(directives: Directives, values: VariableValues): Directives {
  const { gates, ensures } = directives;
  const filled = <T extends { query: string }>(one: T): T => ({
    ...one,
    query: substituteVariables(one.query, values).text,
  });
  return {
    ...directives,
    ...(gates && { gates: gates.map((gate) => (gate.kind === 'require' ? filled(gate) : gate)) }),
    ...(ensures && { ensures: ensures.map(filled) }),
  };
}

/** The variables that a script declares and nobody gives a value. */
export function unsetVariables(
  { directives }: Pick<Script, 'directives'>,
  values: VariableValues | undefined,
): string[] {
  return (directives.variables ?? [])
    .map(({ name }) => name)
    .filter((name) => !Object.hasOwn(values ?? {}, name));
}

/** The error for all scripts that lack values, before anything runs. */
export function variablesUnset(scripts: readonly { path: string; names: string[] }[]): EvdbError {
  const names = [...new Set(scripts.flatMap((one) => one.names))];
  const needed = names.map((name) => {
    const files = scripts.filter((one) => one.names.includes(name)).map(({ path }) => path);
    return { name, files };
  });
  const [first = ''] = names;
  const listed = needed.map(({ name, files }) => `"${name}" (${files.join(', ')})`).join(', ');
  return new EvdbError(
    'VARIABLE_UNSET',
    `${names.length === 1 ? 'a variable has' : `${names.length} variables have`} no value: ${listed}`,
    {
      hint: `Nothing was run. Set it under "variables" in the config file, in the environment (${environmentName(first)}), or with --set ${first}=<value>.`,
      details: { variables: needed },
    },
  );
}

/** `EVDB_VAR_APP_ROLE` for `app_role`. */
function environmentName(variable: string): string {
  return `EVDB_VAR_${variable.toUpperCase()}`;
}

/** The statements of a script as they are sent, with its values where it has them. */
export function statementsOf({ text, values }: Pick<Script, 'text' | 'values'>): Statement[] {
  return withValues(splitStatements(text), values);
}

/** Variables that a script declares and does not use; none of a large file, which is not held. */
export function unusedVariables(
  { text, directives, large }: Script,
  statements: Statement[],
): VariableDeclaration[] {
  const { variables = [] } = directives;
  if (variables.length === 0 || large) return [];
  const queries = listDirectiveLines(text, statements).map(({ value }) => value);
  const texts = [...statements.map(writtenText), ...queries];
  const used = new Set(texts.flatMap(listVariableUses).map(({ name }) => name));
  return variables.filter(({ name }) => !used.has(name));
}
