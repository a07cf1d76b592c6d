// Configuration of evdb. Every setting is optional; `evdb config` shows what is in force and why.
// Flags come before the environment, that before .env, and that before this file.
// Keep passwords out of here: put the database into .env, see .env.example.

/** @type {import('evdb').ConfigFileInput} */
export default {
  // The database, where neither a flag nor EVDB_URL, DATABASE_URL or DB_HOST names one.
  // Without any, evdb starts an embedded PostgreSQL; 'embedded:' asks for it.
  // url: 'postgres://app@localhost:5432/events',

  // Migrations connect here instead: past a pooler, or as the role that owns the tables.
  // migrationUrl: 'postgres://owner@localhost:5432/events',

  // Prints the password, where what names the database has none; asked anew for each connection.
  // Here a function does too: password: async ({ host, port, user }) => token,
  // passwordCommand: 'aws rds generate-db-auth-token --hostname "$PGHOST" --port "$PGPORT" --username "$PGUSER"',

  // Where the SQL files are, relative to this file.
  migrationsDir: 'migrations',

  // The schema that migrations work in, and the one that holds evdb's own tables.
  schema: 'public',
  ledgerSchema: 'evdb',

  // Further schemas that migrations find without a prefix, such as one for extensions.
  // searchPath: ['extensions'],

  // Durations are text such as '500ms', '2s' or '10min', or numbers of milliseconds.
  // lockWait: '60s', // how long to wait while another evdb migrates
  // lockTimeout: '2s', // for a table lock, instead of the ladder of short timeouts
  // lockWaitBudget: '10min', // how long to go on asking for table locks
  // dataLockTimeout: '10s', // for a row lock of a statement that changes data
  // statementTimeout: '15min', // for a single statement; default: what the server says

  // The ledger keeps the text of a migration up to this size.
  // storedTextLimit: '1MB',

  // What `evdb migrate plan` is held against; exit code 3 where it is exceeded.
  // budget: 'rewrite-rows=100k,scan-rows=1M,access-exclusive=500ms',

  // How `evdb lint` and `evdb migrate validate` judge migrations. Of the event schema, as long as it
  // is as it came, only errors are told.
  lint: {
    // startAfter: '012', // migrations up to this one are history, and are not judged
    // serverVersion: 14, // the oldest server that the migrations are for
    // smallTableRows: 10000, // below, findings about locks are information
    // rules: { 'lock-fanout': 'off' },
    // groups: { style: 'warning' },
  },

  // What `evdb doctor` finds and you accept; after the day in `until` it counts again.
  // doctor: { ignore: [{ check: 'unused-indexes', object: 'public.*', reason: 'yearly report', until: '2027-01-31' }] },

  // `--env production` (or EVDB_ENV) puts its settings over those above.
  environments: {
    production: {
      // On a protected environment `reset` is refused and `down` needs --confirm.
      protected: true,
    },
  },
};
