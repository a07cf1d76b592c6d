import { createServer } from 'node:http';
import { EvdbError, QueryError } from 'evdb';
import { createRoutes } from './routes.mjs';

/** Errors after which the same request can succeed. */
const TEMPORARY = new Set(['ACQUIRE_TIMEOUT', 'CONNECTION_LOST', 'REGISTRAR_FULL', 'LOCK_TIMEOUT']);

/** Makes the HTTP server; `services` are those of `createRoutes`. */
export function createApi(services) {
  const routes = createRoutes(services);
  return createServer(async (request, response) => {
    try {
      const { status, body, text } = await handle(routes, request);
      send(response, status, body, text);
    } catch (error) {
      sendError(response, error);
    }
  });
}

async function handle(routes, request) {
  const { pathname } = new URL(request.url, 'http://localhost');
  const route = routes.find(([method, path]) => method === request.method && path.test(pathname));
  if (!route) return { status: 404, body: { error: 'no such route' } };
  const [, path, run] = route;
  const [, ...ids] = path.exec(pathname);
  return run(ids, await readJson(request));
}

async function readJson(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : JSON.parse(text);
}

function send(response, status, body, text) {
  const type = text === undefined ? 'application/json' : 'text/plain; version=0.0.4';
  response.writeHead(status, { 'content-type': type });
  response.end(text ?? `${JSON.stringify(body)}\n`);
}

/** Says what the client can do about it, and nothing about the inside. */
function sendError(response, error) {
  if (error instanceof SyntaxError) {
    send(response, 400, { error: 'the body is not JSON' });
  } else if (error instanceof EvdbError && TEMPORARY.has(error.code)) {
    response.setHeader('retry-after', '1');
    send(response, 503, { error: 'try again' });
  } else if (error instanceof QueryError && /^2[23]/.test(error.sqlstate)) {
    // Class 22: a value does not fit its type; class 23: the row breaks a rule of the schema.
    send(response, 422, { error: error.message });
  } else if (error instanceof EvdbError && error.code === 'USAGE') {
    send(response, 400, { error: error.message });
  } else {
    console.error(error);
    send(response, 500, { error: 'internal error' });
  }
}
