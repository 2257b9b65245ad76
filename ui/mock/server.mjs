// A stand-in for the server, for work on the desk and for its browser tests. Speaks the same HTTP and websocket, keeps
// everything in memory, and does what a test tells it to: POST /mock/ring, /mock/answer, /mock/end … Never shipped.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { peaksOf, wavOf } from './audio.mjs';
import { qualityOf } from './quality.mjs';
import { Sip } from './sip.mjs';
import { World } from './world.mjs';
import { PASSWORD } from './data.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; " +
  "media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

class Refused extends Error {
  constructor(status, code, message, field) {
    super(message);
    Object.assign(this, { status, code, field });
  }
}

export function startMock({ port = 0, host = '127.0.0.1' } = {}) {
  const world = new World();
  world.sip = new Sip(world);
  const sessions = new Map();
  const sockets = new Set();
  const options = { delay_ms: 0, fail: new Map(), refuse_links: false, refuse_phones: false };
  let next_session = 1;

  world.publish = (event) => {
    for (const socket of sockets) if (world.sees(socket.user, event)) socket.send(JSON.stringify(event));
  };

  const viewer = (request) => {
    const cookie = /perezvon_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
    return sessions.get(cookie) ?? null;
  };

  const http = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://desk');
    try {
      if (url.pathname.startsWith('/mock/'))
        return send(response, 200, await control(url.pathname.slice(6), await bodyOf(request)));
      if (url.pathname === '/healthz') return send(response, 200, { ok: true });
      if (!url.pathname.startsWith('/api/v1/')) return desk(url.pathname, response);
      const failing = options.fail.get(`${request.method} ${url.pathname}`) ?? options.fail.get(url.pathname);
      if (options.delay_ms) await new Promise((done) => setTimeout(done, options.delay_ms));
      if (failing)
        throw new Refused(failing.status ?? 503, failing.code ?? 'unavailable', failing.message ?? 'Хранилище не отвечает');
      await api(request, response, url);
    } catch (error) {
      if (!(error instanceof Refused)) console.error(error);
      const { status = 500, code = 'internal', message, field } = error;
      send(response, status, { error: { code, message, ...(field && { field }) } });
    }
  });

  async function api(request, response, url) {
    const path = url.pathname.slice('/api/v1'.length);
    const method = request.method;
    if (path === '/session' && method === 'POST') {
      const { login, password } = await bodyOf(request);
      const user = world.users.find((one) => one.login === login);
      if (!user || password !== PASSWORD) throw new Refused(401, 'wrong_password', 'Логин или пароль не подходят');
      const key = `s${next_session++}`;
      sessions.set(key, user);
      response.setHeader('set-cookie', `perezvon_session=${key}; Path=/; HttpOnly; SameSite=Lax`);
      return send(response, 204);
    }
    const me = viewer(request);
    if (!me) throw new Refused(401, 'unauthorized', 'Войдите');
    const { query, body } = { query: Object.fromEntries(url.searchParams), body: method === 'GET' ? {} : await bodyOf(request) };
    const route = routes.find(([m, pattern]) => m === method && pattern.test(path));
    if (!route) throw new Refused(404, 'not_found', 'Нет такого адреса');
    const [, pattern, act] = route;
    await act({ me, query, body, request, response, id: decodeURIComponent(pattern.exec(path)[1] ?? '') });
  }

  const found = (thing) => {
    if (!thing) throw new Refused(404, 'not_found', 'Этого нет');
    return thing;
  };
  const ID = '([^/]+)';
  const on = (pattern) => new RegExp(`^${pattern}$`);
  const routes = [
    [
      'DELETE',
      on('/session'),
      ({ request, response }) => {
        sessions.delete(/perezvon_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]);
        send(response, 204);
      },
    ],
    ['GET', on('/me'), ({ me, response }) => send(response, 200, world.me(me))],
    [
      'PUT',
      on('/me/state'),
      ({ me, body, response }) => send(response, 200, world.setState(me.login, body.state, body.reason ?? null)),
    ],
    [
      'POST',
      on('/me/phone'),
      ({ me, response }) => {
        if (!me.extension) throw new Refused(409, 'no_extension', 'У вас нет внутреннего номера');
        send(response, 201, world.sip.lend(me));
      },
    ],
    [
      'PUT',
      on(`/agents/${ID}/state`),
      ({ me, id, body, response }) => {
        if (me.role === 'agent') throw new Refused(403, 'forbidden', 'Менять чужое состояние может супервизор');
        found(world.agents.get(id));
        send(response, 200, world.setState(id, body.state, body.reason ?? null));
      },
    ],
    ['GET', on('/agents'), ({ response }) => send(response, 200, { items: [...world.agents.values()], next: null })],
    ['GET', on('/queues'), ({ me, response }) => send(response, 200, { items: world.queueViews(me), next: null })],
    ['GET', on('/calls'), ({ me, query, response }) => send(response, 200, page(world.callsFor(me, query), query))],
    [
      'POST',
      on('/calls'),
      ({ me, body, response }) => {
        const agent = world.agents.get(me.login);
        if (!agent?.registered) throw new Refused(409, 'unreachable', 'Телефон не подключён');
        if (!/^\+?\d{3,15}$/.test(body.to ?? '')) throw new Refused(422, 'bad_destination', 'Это не номер', 'to');
        send(response, 201, world.originate(me.login, body.to));
      },
    ],
    [
      'GET',
      on(`/calls/${ID}/quality`),
      ({ id, response }) => send(response, 200, { legs: qualityOf(found(world.call(id)), world.troubles) }),
    ],
    ['GET', on(`/calls/${ID}`), ({ id, response }) => send(response, 200, found(world.call(id)))],
    [
      'POST',
      on(`/calls/${ID}/hangup`),
      ({ me, id, response }) => {
        found(world.call(id));
        world.end(id, { cause: 'hung_up_by_api', ended_by: 'agent', by: me.login });
        send(response, 204);
      },
    ],
    [
      'POST',
      on(`/calls/${ID}/(?:hold|resume)`),
      ({ me, id, request, response }) => {
        const is_held = request.url.endsWith('/hold');
        const call = found(world.call(id));
        if (call.state !== (is_held ? 'talking' : 'held')) throw new Refused(409, 'call_state', 'Сейчас нельзя');
        world.hold(id, call.agent ?? me.login, is_held);
        send(response, 200, world.call(id));
      },
    ],
    [
      'POST',
      on(`/calls/${ID}/recording`),
      ({ id, body, response }) => {
        found(world.call(id));
        if (!world.tape(id, body.action)) throw new Refused(409, 'recording_state', 'Запись не в том состоянии');
        send(response, 200, world.call(id));
      },
    ],
    [
      'POST',
      on(`/calls/${ID}/supervise`),
      ({ me, id, body, response }) => {
        if (me.role === 'agent') throw new Refused(403, 'forbidden', 'Слушать может супервизор');
        const call = found(world.call(id));
        if (call.state !== 'talking' && call.state !== 'held') throw new Refused(409, 'call_state', 'Никто не говорит');
        world.supervise(id, me.login, body.mode);
        send(response, 200, call);
      },
    ],
    [
      'DELETE',
      on(`/calls/${ID}/supervise`),
      ({ me, id, response }) => {
        if (!world.leave(id, me.login)) throw new Refused(409, 'not_supervising', 'Вы не в этом разговоре');
        send(response, 200, world.call(id));
      },
    ],
    ['GET', on('/recordings'), ({ me, query, response }) => send(response, 200, page(world.recordingsFor(me, query), query))],
    ['GET', on(`/recordings/${ID}`), ({ id, response }) => send(response, 200, found(world.recording(id)))],
    ['GET', on(`/recordings/${ID}/peaks`), ({ id, response }) => send(response, 200, peaksOf(found(world.recording(id))))],
    [
      'GET',
      on(`/recordings/${ID}/audio`),
      ({ id, request, response }) => audio(request, response, wavOf(found(world.recording(id)))),
    ],
    ['GET', on('/clients'), ({ query, response }) => send(response, 200, page(world.searchClients(query.search ?? ''), query))],
    ['POST', on('/clients'), ({ body, response }) => send(response, 201, world.createClient(body))],
    ['GET', on('/clients/lookup'), ({ query, response }) => send(response, 200, world.lookUp(query.phone ?? ''))],
    ['GET', on(`/clients/${ID}`), ({ id, response }) => send(response, 200, found(world.client(id)))],
    ['PATCH', on(`/clients/${ID}`), ({ id, body, response }) => send(response, 200, found(world.patchClient(id, body)))],
    ['GET', on(`/clients/${ID}/timeline`), ({ id, query, response }) => send(response, 200, page(world.timeline(id), query))],
    [
      'GET',
      on('/events'),
      ({ me, query, response }) => {
        const items = world.log.filter((event) => event.seq > Number(query.after ?? 0) && world.sees(me, event));
        send(response, 200, { items, next: null });
      },
    ],
  ];

  /** What a test may order. Each answers with what it made. */
  async function control(order, wish) {
    switch (order) {
      case 'ring':
        return world.ring(wish);
      case 'dial':
        return world.originate(wish.agent, wish.to);
      case 'answer':
        return world.answer(wish.call_id ?? world.lastRinging(), wish.agent);
      case 'end':
        return world.end(wish.call_id ?? world.lastOpen(), wish);
      case 'trouble':
        world.troubles.set(`${wish.call_id} ${wish.role}`, wish.trouble);
        return {};
      case 'away':
        return world.absent(wish);
      case 'queue':
        return world.enqueue(wish);
      case 'state':
        return world.force(wish.agent, wish);
      case 'drop':
        for (const socket of sockets) socket.close(wish.code ?? 1012);
        options.refuse_links = wish.stay_down ?? false;
        return {};
      case 'up':
        options.refuse_links = false;
        return {};
      case 'sign_out':
        sessions.clear();
        for (const socket of sockets) socket.close(4002);
        return {};
      case 'fail':
        if (wish.status) options.fail.set(wish.path, wish);
        else options.fail.clear();
        return {};
      case 'delay':
        options.delay_ms = wish.ms ?? 0;
        return {};
      case 'reset':
        options.fail.clear();
        options.delay_ms = 0;
        options.refuse_links = false;
        options.refuse_phones = false;
        world.reset(wish);
        for (const socket of sockets) socket.close(4003);
        return {};
      case 'sip':
        Object.assign(world.sip, wish);
        return {};
      case 'drop_phones':
        options.refuse_phones = wish.stay_down ?? false;
        world.sip.drop();
        return {};
      case 'up_phones':
        options.refuse_phones = false;
        return {};
      case 'links':
        return { open: sockets.size };
      default:
        throw new Refused(404, 'no_such_order', order);
    }
  }

  const links = new WebSocketServer({ noServer: true });
  const phones = new WebSocketServer({ noServer: true, handleProtocols: (asked) => (asked.has('sip') ? 'sip' : false) });
  http.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url, 'http://desk');
    const user = viewer(request);
    if (url.pathname === '/sip' && !options.refuse_phones) {
      phones.handleUpgrade(request, socket, head, (link) => world.sip.open(link));
      return;
    }
    if (url.pathname !== '/api/v1/live' || !user || options.refuse_links) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n');
      return;
    }
    links.handleUpgrade(request, socket, head, (link) => {
      link.user = user;
      const after = url.searchParams.get('after');
      if (after !== null && Number(after) < world.oldest_seq) return link.close(4003);
      link.send(JSON.stringify({ type: 'stream.ready', seq: after === null ? world.seq : Number(after), newest: world.seq }));
      if (after !== null)
        for (const event of world.log) if (event.seq > Number(after) && world.sees(user, event)) link.send(JSON.stringify(event));
      sockets.add(link);
      link.on('close', () => sockets.delete(link));
    });
  });

  return new Promise((resolve) => {
    http.listen(port, host, () => {
      resolve({
        port: http.address().port,
        world,
        async close() {
          world.stop();
          for (const socket of [...links.clients, ...phones.clients]) socket.terminate();
          http.closeAllConnections();
          await new Promise((done) => http.close(done));
        },
      });
    });
  });
}

function desk(path, response) {
  const file = join(DIST, normalize(path));
  const is_file = path !== '/' && file.startsWith(DIST) && extname(file) && existsSync(file);
  if (!is_file && (extname(path) || path.startsWith('/assets/'))) {
    response.writeHead(404, { 'content-type': 'text/plain' });
    return response.end('404\n');
  }
  const served = is_file ? file : join(DIST, 'index.html');
  response.writeHead(200, {
    'content-type': TYPES[extname(served)] ?? 'application/octet-stream',
    'content-security-policy': CSP,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    'cache-control': path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
  response.end(readFileSync(served));
}

function audio(request, response, wav) {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const headers = { 'content-type': 'audio/wav', 'accept-ranges': 'bytes' };
  if (!range) {
    response.writeHead(200, { ...headers, 'content-length': wav.length });
    return response.end(wav);
  }
  const from = Number(range[1]);
  const to = range[2] ? Math.min(Number(range[2]), wav.length - 1) : wav.length - 1;
  response.writeHead(206, { ...headers, 'content-length': to - from + 1, 'content-range': `bytes ${from}-${to}/${wav.length}` });
  response.end(wav.subarray(from, to + 1));
}

function page(items, { cursor, limit }) {
  const from = Number(cursor ?? 0);
  const size = Math.min(1000, Number(limit ?? 100));
  return { items: items.slice(from, from + size), next: from + size < items.length ? String(from + size) : null };
}

function send(response, status, body) {
  response.writeHead(status, body === undefined ? {} : { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const port = Number(process.env.PORT ?? 8090);
  const mock = await startMock({ port });
  if (process.argv.includes('--life')) mock.world.live();
  console.log(`mock server on http://127.0.0.1:${mock.port}, logins anna, olga, admin, password ${PASSWORD}`);
}
