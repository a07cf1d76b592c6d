// A small API over the event schema: `node examples/event-api/main.mjs`, then follow the README beside it.
import { fileURLToPath } from 'node:url';
import { DatabaseManager } from 'evdb';
import { createRegistrar, createRegistrationClient } from 'evdb/events';
import { createApi } from './api.mjs';

const database = new DatabaseManager({
  // Without a database in the environment it is the embedded PostgreSQL, in .evdb below this folder.
  env: hasDatabase() ? process.env : { ...process.env, EVDB_URL: 'embedded:' },
  migrations: 'up',
  migrationsDir: fileURLToPath(new URL('../../migrations', import.meta.url)),
  name: 'event-api',
  max: 10,
  min: 2,
  leakThresholdMillis: 10_000,
});

const pool = await database.initialize();
pool.on('leak', ({ heldMs, stack }) =>
  console.warn(`held for ${heldMs} ms, asked for at\n${stack}`),
);
pool.on('slowQuery', ({ text, durationMs }) =>
  console.warn(`${Math.round(durationMs)} ms: ${text}`),
);

const registrar = createRegistrar(pool);
const server = createApi({ database, registrar, registrations: createRegistrationClient(pool) });
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);

/** First the requests, then what they wait for, then the connections. */
async function stop() {
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeIdleConnections();
  });
  await registrar.close();
  await database.close();
}

function hasDatabase() {
  return ['EVDB_URL', 'DATABASE_URL', 'DB_HOST', 'DB_NAME'].some((name) => process.env[name]);
}
