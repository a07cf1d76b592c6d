import type { Node } from '@pgsql/types';
import type { Catalog } from '../catalog/catalog.ts';
import { emptyImpact, type Impact } from '../impact/impact.ts';

/** What a statement does to others while it runs. */
export function readImpact(_tree: Node, _catalog: Catalog): Impact {
  return emptyImpact();
}

/** Brings the catalog to what it is after a statement. */
export function replay(_catalog: Catalog, _tree: Node): void {}
