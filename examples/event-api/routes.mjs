import { renderPrometheus } from 'evdb';

/** What a refusal of the database means to a client of the API; the others are conflicts. */
const STATUS_OF = { 'event-not-found': 404, 'user-not-found': 404, 'not-registered': 404 };

/** A bcrypt hash that belongs to no password: a real API would make one. */
const UNUSABLE_PASSWORD = `$2b$10$${'.'.repeat(53)}`;

/** Each route: method, path, and what gives `{ status, body }` for its ids and the request's JSON. */
export function createRoutes({ database, registrar, registrations }) {
  const pool = database.getPool();
  return [
    ['GET', /^\/health$/, () => answerHealth(database)],
    ['GET', /^\/metrics$/, () => ({ status: 200, text: renderPrometheus(pool.metrics()) })],
    ['POST', /^\/users$/, (_, user) => addUser(pool, user)],
    ['POST', /^\/events$/, (_, event) => addEvent(pool, event)],
    ['GET', /^\/events\/(\d+)$/, ([id]) => answerStats(registrations, Number(id))],
    [
      'POST',
      /^\/events\/(\d+)\/registrations$/,
      async ([id], { userId }) => answer(await registrar.register(userId, Number(id)), 201),
    ],
    [
      'DELETE',
      /^\/events\/(\d+)\/registrations\/(\d+)$/,
      async ([eventId, userId]) =>
        answer(await registrations.unregister(Number(userId), Number(eventId)), 200),
    ],
  ];
}

async function answerHealth(database) {
  const health = await database.health();
  return { status: health.status === 'down' ? 503 : 200, body: health };
}

async function addUser(pool, { name = null, email = null }) {
  const [user] = await pool.sql`
    insert into users (name, email, password_hash)
    values (${name}, ${email}, ${UNUSABLE_PASSWORD})
    returning id, name, email`;
  return { status: 201, body: user };
}

/** Whoever does it stands in the audit log. */
async function addEvent(pool, event) {
  const { title = null, dateTime = null, location = null, capacity = null } = event;
  const { createdBy = null } = event;
  const [added] = await pool.withTransaction(
    (tx) => tx.sql`
      insert into events (title, description, date_time, location, capacity, created_by)
      values (${title}, ${title}, ${dateTime}, ${location}, ${capacity}, ${createdBy})
      returning id, title, date_time, capacity`,
    { actor: `user ${createdBy}` },
  );
  return { status: 201, body: added };
}

async function answerStats(registrations, eventId) {
  const stats = await registrations.eventStats(eventId);
  return stats ? { status: 200, body: stats } : { status: 404, body: { error: 'no such event' } };
}

function answer(result, success) {
  if (result.success) return { status: success, body: result };
  const { reason, message } = result;
  return { status: STATUS_OF[reason] ?? 409, body: { error: reason, message } };
}
