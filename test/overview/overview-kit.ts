import { readFileSync } from 'node:fs';
import { type ReadOverviewOptions, readOverview } from '../../src/overview/overview.ts';
import { connectionTo } from '../support/sessions.ts';

/** Three months of an event database at work, or ten faults in one. */
export function readScript(name: 'example' | 'broken'): string {
  return readFileSync(new URL(`${name}.sql`, import.meta.url), 'utf8');
}

export async function look(url: string, options: ReadOverviewOptions = {}) {
  return readOverview(await connectionTo(url), options);
}
