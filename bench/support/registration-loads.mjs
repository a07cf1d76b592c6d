/** An event holds no more; after that many registrations the clients go to the next one. */
const SEATS = 10_000;

/**
 * From one hot event to the next. Registrations queue by the id modulo 1024, so clients that are
 * through with an event stay in the same queue as those that are not.
 */
export const HOT_EVENT_STRIDE = 1024;

/**
 * @typedef {import('./load.mjs').Workload & { rowsPerCall: number, check: string }} RegistrationLoad
 *   check tells after the run how many rows the calls left, and how many of them in the audit log
 */

const CALL_CHECK = `
  select
    (select count(*)::int from registrations where status = 'confirmed') as rows,
    (select count(*)::int from audit_logs where table_name = 'registrations') as audited`;

/**
 * A new connection plans its first five calls anew. Each client makes them for an event of its own, or
 * they would hold up the whole queue, and the measured seconds with it.
 */
const CALLS_BEFORE = 6;

/** Their ids follow that of the first hot event. */
export const RANDOM_EVENTS = 1000;

/** @param {number} clients @param {number} rows of one call */
function hotVariables(clients, rows) {
  const callsOfEvent = Math.max(1, Math.floor(SEATS / (clients * rows)));
  const apart = Math.max(1, Math.floor(RANDOM_EVENTS / clients));
  return [
    {
      name: 'k',
      pgbench: `:n - ${CALLS_BEFORE}`,
      value: ({ n }) => n - CALLS_BEFORE,
    },
    {
      name: 'event_id',
      pgbench: `case when :k < 0 then 2 + ${apart} * :client_id else 1 + ${HOT_EVENT_STRIDE} * (:k / ${callsOfEvent}) end`,
      value: ({ client_id, k }) =>
        k < 0 ? 2 + apart * client_id : 1 + HOT_EVENT_STRIDE * Math.floor(k / callsOfEvent),
    },
    {
      name: 'user_id',
      pgbench: `case when :k < 0 then 1 + ${rows} * :n else 1 + ${rows} * (:client_id * ${callsOfEvent} + :k % ${callsOfEvent}) end`,
      value: ({ client_id, n, k }) =>
        k < 0 ? 1 + rows * n : 1 + rows * (client_id * callsOfEvent + (k % callsOfEvent)),
    },
  ];
}

/**
 * Single calls for one event.
 *
 * @param {number} clients
 * @returns {RegistrationLoad}
 */
export function callHotEvent(clients) {
  return {
    statement: 'select safe_event_registration(:user_id, :event_id)',
    variables: hotVariables(clients, 1),
    rowsPerCall: 1,
    check: CALL_CHECK,
  };
}

/**
 * Calls for one event that register many users each.
 *
 * @param {number} clients
 * @param {number} rows
 * @returns {RegistrationLoad}
 */
export function registerBatch(clients, rows) {
  if (clients * rows > SEATS) {
    throw new Error(`${clients} clients with batches of ${rows} do not fit into one event`);
  }
  return {
    statement: `select batch_event_registration(
      array(select generate_series(:user_id::int, :user_id::int + ${rows - 1})), :event_id)`.replace(
      /\s+/g,
      ' ',
    ),
    variables: hotVariables(clients, rows),
    rowsPerCall: rows,
    check: CALL_CHECK,
  };
}

/**
 * The least that a counter with an audit log could do: one statement that updates one row by its
 * primary key and inserts one audit row of the size that a registration's has.
 *
 * @returns {RegistrationLoad}
 */
export function updateHotRow() {
  return {
    statement: `with u as (
      update bench_hot set current_registrations = current_registrations + 1 where id = 1 returning id
    ) insert into bench_audit (table_name, operation, row_id, new_values)
    select 'registrations', 'INSERT', :row_id::int, jsonb_build_object(
      'id', :row_id::int, 'user_id', :row_id::int, 'event_id', u.id, 'registered_at', now(),
      'status', 'confirmed', 'hold_expires_at', null) from u`.replace(/\s+/g, ' '),
    variables: [
      {
        name: 'row_id',
        pgbench: ':client_id * 1000000 + :n',
        value: ({ client_id, n }) => client_id * 1_000_000 + n,
      },
    ],
    rowsPerCall: 1,
    check: `
      select
        (select current_registrations from bench_hot) as rows,
        (select count(*)::int from bench_audit) as audited`,
  };
}

/** @param {number} clients @param {number} users who take turns, so that no pair comes twice */
function randomVariables(clients, users) {
  return [
    {
      name: 'user_id',
      pgbench: `1 + (:n * ${clients} + :client_id) % ${users}`,
      value: ({ client_id, n }) => 1 + ((n * clients + client_id) % users),
    },
    {
      name: 'event_id',
      pgbench: `random(2, ${RANDOM_EVENTS + 1})`,
      value: () => 2 + Math.floor(Math.random() * RANDOM_EVENTS),
    },
  ];
}

/**
 * Single calls for any of 1,000 events.
 *
 * @param {number} clients
 * @param {number} users more than there will be calls
 * @returns {RegistrationLoad}
 */
export function callRandomEvent(clients, users) {
  return {
    statement: 'select safe_event_registration(:user_id, :event_id)',
    variables: randomVariables(clients, users),
    rowsPerCall: 1,
    check: CALL_CHECK,
  };
}

/**
 * Plain inserts into a table without lock and counter.
 *
 * @param {number} clients
 * @param {number} users more than there will be calls
 * @returns {RegistrationLoad}
 */
export function insertPlain(clients, users) {
  return {
    statement: `insert into bench_registrations (user_id, event_id, status) values (:user_id, :event_id, 'confirmed') returning id, registered_at`,
    variables: randomVariables(clients, users),
    rowsPerCall: 1,
    check: `
      select
        (select count(*)::int from bench_registrations) as rows,
        (select count(*)::int from audit_logs where table_name ~ 'registrations$') as audited`,
  };
}
