// Configuration of evdb. Every setting is optional; `evdb config` shows the values in effect and their sources.
// Flags take precedence over the environment, that over .env, and that over this file.
// Do not put passwords here: put the database into .env, see .env.example.

/** @type {import('evdb').ConfigFileInput} */
export default {
  // The database, if neither a flag nor EVDB_URL, DATABASE_URL or DB_HOST names one.
  // Without any, evdb starts an embedded PostgreSQL; 'embedded:' asks for it.
  // url: 'postgres://app@localhost:5432/events',

  // Migrations connect here instead: around a pooler, or as the role that owns the tables.
  // migrationUrl: 'postgres://owner@localhost:5432/events',

  // Prints the password, if the source of the database has none; run for each connection.
  // A function works too: password: async ({ host, port, user }) => token,
  // passwordCommand: 'aws rds generate-db-auth-token --hostname "$PGHOST" --port "$PGPORT" --username "$PGUSER"',

  // Where the SQL files are, relative to this file.
  migrationsDir: 'migrations',

  // Where `evdb seed` finds its files.
  // seedsDir: 'seeds',

  // The schema that migrations work in, and the schema of evdb's own tables.
  schema: 'public',
  ledgerSchema: 'evdb',

  // Further schemas that migrations find without a prefix, such as one for extensions.
  // searchPath: ['extensions'],

  // Durations are text such as '500ms', '2s' or '10min', or numbers of milliseconds.
  // lockWait: '60s', // how long to wait while another evdb migrates
  // lock: 'lease', // for servers without advisory locks, see docs/engines.md
  // leaseTime: '30s', // how long a lease lasts unless it is renewed
  // lockTimeout: '2s', // for a table lock, instead of the ladder of short timeouts
  // lockWaitBudget: '10min', // how long to keep trying for table locks
  // dataLockTimeout: '10s', // for a row lock of a statement that changes data
  // statementTimeout: '15min', // for a single statement; default: the server's setting

  // The ledger keeps the text of a migration up to this size.
  // storedTextLimit: '1MB',

  // Limits that `evdb migrate plan` checks; exit code 3 if one is exceeded.
  // budget: 'rewrite-rows=100k,scan-rows=1M,access-exclusive=500ms',

  // Whether `evdb migrate up` first looks for what was changed by hand: 'off', 'warn' or 'error'.
  // checkDrift: 'warn',

  // Whether `evdb migrate up` keeps a snapshot of the statistics from before and after it.
  // snapshots: true,

  // What differs between environments; a migration that says `-- evdb: variables app_role` uses it.
  // variables: { app_role: 'app' },

  // How `evdb lint` and `evdb migrate validate` judge migrations. For the event
  // schema, as long as it is unchanged, they report only errors.
  lint: {
    // startAfter: '012', // migrations up to this one are history, and are not judged
    // serverVersion: 14, // the oldest server that the migrations run on
    // smallTableRows: 10000, // with fewer rows, findings about locks are information
    // rules: { 'lock-fanout': 'off' },
    // groups: { style: 'warning' },
  },

  // Findings of `evdb doctor` that you accept; after the day in `until` they count again.
  // doctor: { ignore: [{ check: 'unused-indexes', object: 'public.*', reason: 'yearly report', until: '2027-01-31' }] },

  // Databases or schemas that commands take together, such as `evdb migrate up --fleet tenants`: see docs/fleets.md.
  // fleets: { tenants: { query: 'select schema_name as schema, region from control.tenants order by 1' } },

  // `--env production` (or EVDB_ENV) puts its settings above the others.
  environments: {
    production: {
      // In a protected environment `reset` is refused and `down` needs --confirm.
      protected: true,
    },
  },
};
