import type { FuncCall, Node, VariableSetStmt } from '@pgsql/types';
import { asKind, stringsOf } from '../sql/tree.ts';
import { type Catalog, TEMPORARY_SCHEMA } from './catalog.ts';

/** `set search_path`; other settings change nothing here. */
export function replaySetting(catalog: Catalog, { name, kind, args }: VariableSetStmt): void {
  if (name !== 'search_path' || kind !== 'VAR_SET_VALUE') return;
  setSearchPath(
    catalog,
    (args ?? []).map((node) => asKind(node, 'A_Const')?.sval?.sval ?? ''),
  );
}

/** `select set_config('search_path', …)`, as dumps have it. */
export function replaySetConfig(catalog: Catalog, targets: readonly Node[] | undefined): void {
  for (const node of targets ?? []) {
    const call: FuncCall | undefined = asKind(asKind(node, 'ResTarget')?.val, 'FuncCall');
    if (stringsOf(call?.funcname).at(-1) !== 'set_config') continue;
    const [setting, value] = (call?.args ?? []).map(
      (arg) => asKind(arg, 'A_Const')?.sval?.sval ?? '',
    );
    if (setting !== 'search_path') continue;
    const parts = (value ?? '').split(',').map((part) => part.trim());
    setSearchPath(
      catalog,
      parts.map((part) =>
        part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase(),
      ),
    );
  }
}

function setSearchPath(catalog: Catalog, path: readonly string[]): void {
  catalog.searchPath = path.filter((name) => !NOT_A_PLACE.has(name));
}

/** Schemas of the path in which no migration makes anything by a plain name. */
const NOT_A_PLACE = new Set(['', '$user', TEMPORARY_SCHEMA, 'pg_catalog']);
