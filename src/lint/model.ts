import type { Node } from '@pgsql/types';
import type { Catalog } from '../catalog/catalog.ts';
import { replayStatement } from '../catalog/replay.ts';
import type { Impact } from '../impact/impact.ts';
import { impactOf } from '../impact/impact-of.ts';
import { DEFAULT_LINT_SETTINGS } from './rule.ts';

/** What a statement does to others while it runs. */
export function readImpact(tree: Node, catalog: Catalog): Impact {
  return impactOf({ tree, text: '', catalog, serverVersion: DEFAULT_LINT_SETTINGS.serverVersion });
}

/** Brings the catalog to what it is after a statement. */
export function replay(catalog: Catalog, tree: Node): void {
  replayStatement(catalog, tree, '');
}
