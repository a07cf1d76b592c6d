import { DatabaseManager, type DatabaseManagerOptions } from '../../src/application/manager.ts';
import { test as base } from '../support/fixture.ts';

type MakeManager = (options?: DatabaseManagerOptions) => DatabaseManager;

/** `manager` makes managers on the test's empty database and project; they are closed afterwards. */
export const test = base.extend<{ manager: MakeManager }>({
  manager: async ({ emptyDb, project }, use) => {
    const made: DatabaseManager[] = [];
    await use((options = {}) => {
      const source = options.env ? {} : { connectionString: emptyDb.url, env: {} };
      const manager = new DatabaseManager({ ...source, cwd: project.dir, ...options });
      made.push(manager);
      return manager;
    });
    await Promise.all(made.map((manager) => manager.close({ timeoutMillis: 2_000 })));
  },
});
