/** The agent's HTTP server and its client over a real unix socket: answers, bounds, slow readers, clear errors. */
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { pino } from 'pino';
import { askAgent, ControlError, followAgent } from '../../../../agent/control/client.ts';
import { json } from '../../../../agent/control/route.ts';
import type { LineSink, Route } from '../../../../agent/control/route.ts';
import { openControlServer } from '../../../../agent/control/server.ts';
import { controlSocketPath } from '../../../../agent/control/socket-path.ts';

const LOG = pino({ enabled: false });

/** A server at `path` below a directory of the test's own. */
async function serving(
  routes: readonly Route[],
  use: (path: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'picket-control-'));
  const path = join(folder, 'run', 'picket.sock');
  const server = await openControlServer(path, routes, LOG);
  try {
    await use(path);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

const ECHO: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/echo',
    handle: ({ query }) => json({ said: query.get('say') }),
  },
  { method: 'POST', path: '/v1/echo', handle: ({ body }) => json(body) },
  {
    method: 'GET',
    path: '/v1/bug',
    handle: () => {
      throw new Error('a bug');
    },
  },
];

interface Raw {
  readonly status: number | undefined;
  readonly body: string;
}

/** A request as any HTTP client makes it. */
function raw(socketPath: string, method: string, path: string, body = ''): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () => resolve({ status: response.statusCode, body: text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

const REQUESTS: readonly {
  readonly name: string;
  readonly in: readonly [method: string, path: string, body: string];
  readonly out: readonly [status: number, body: string];
}[] = [
  { name: 'a route', in: ['GET', '/v1/echo?say=hi', ''], out: [200, '{"said":"hi"}'] },
  { name: 'a body', in: ['POST', '/v1/echo', '{"a":1}'], out: [200, '{"a":1}'] },
  {
    name: 'another path',
    in: ['GET', '/v1/nothing', ''],
    out: [404, 'there is no /v1/nothing; there is: /v1/echo, /v1/echo, /v1/bug'],
  },
  { name: 'another method', in: ['DELETE', '/v1/echo', ''], out: [405, 'DELETE is not for this'] },
  { name: 'a body that is no JSON', in: ['POST', '/v1/echo', '{'], out: [400, 'is not JSON'] },
  {
    name: 'a body without end',
    in: ['POST', '/v1/echo', 'x'.repeat(100_000)],
    out: [413, 'larger than 65536 bytes'],
  },
];

for (const { name, in: input, out } of REQUESTS) {
  test(`answers ${name}`, (t) =>
    serving(ECHO, async (path) => {
      const { status, body } = await raw(path, ...input);
      t.is(status, out[0]);
      t.true(body.includes(out[1]), body);
    }));
}

test('a handler that throws costs its own request only', (t) =>
  serving(ECHO, async (path) => {
    await t.throwsAsync(() => raw(path, 'GET', '/v1/bug'));
    t.is((await raw(path, 'GET', '/v1/echo')).status, 200);
  }));

test('only root and the group may connect, and the directory is theirs too', (t) =>
  serving(ECHO, async (path) => {
    t.is(statSync(path).mode & 0o777, 0o660);
    t.is(statSync(join(path, '..')).mode & 0o777, 0o750);
    await Promise.resolve();
  }));

test('clients over the limit are turned away, and those before them are served', (t) =>
  serving(ECHO, async (path) => {
    const idle = Array.from({ length: 64 }, () => connect(path));
    await Promise.all(idle.map((each) => once(each, 'connect')));
    await delay(50);
    await t.throwsAsync(() => askAgent(path, '/v1/echo'));
    for (const each of idle) each.destroy();
    await delay(50);
    t.deepEqual(await askAgent(path, '/v1/echo', { say: 'again' }), { said: 'again' });
  }));

const PATHS = [
  {
    name: 'a socket that a dead agent left is replaced',
    make: async (path: string) => {
      // Closing a listening handle of ours would remove the file: a dead process does not.
      const dead = createServer().listen(`${path}-dead`);
      await once(dead, 'listening');
      renameSync(`${path}-dead`, path);
      dead.close();
      await once(dead, 'close');
    },
    error: undefined,
  },
  {
    name: 'a file of somebody is not replaced',
    make: async (path: string) => {
      writeFileSync(path, 'precious');
      await Promise.resolve();
    },
    error: /is there and is no socket/,
  },
] as const;

for (const { name, make, error } of PATHS) {
  test(name, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'picket-control-'));
    const path = join(folder, 'picket.sock');
    await make(path);
    t.true(existsSync(path));
    if (error === undefined) {
      const server = await openControlServer(path, ECHO, LOG);
      t.deepEqual(await askAgent(path, '/v1/echo', { say: 'x' }), { said: 'x' });
      await server.close();
      t.false(existsSync(path));
    } else {
      await t.throwsAsync(() => openControlServer(path, ECHO, LOG), { message: error });
      t.true(existsSync(path));
    }
    rmSync(folder, { recursive: true });
  });
}

test('a path that is too long for a socket is named', async (t) => {
  const path = join(tmpdir(), 'x'.repeat(120));
  await t.throwsAsync(() => openControlServer(path, ECHO, LOG), { message: /runDirectory/ });
});

/** A route whose readers a test can get at. */
function follower(): { readonly routes: readonly Route[]; readonly sinks: LineSink[] } {
  const sinks: LineSink[] = [];
  const route: Route = {
    method: 'GET',
    path: '/v1/lines',
    handle: () => ({ kind: 'lines', follow: (lines) => void sinks.push(lines) }),
  };
  return { routes: [...ECHO, route], sinks };
}

test('lines come as they are sent, to several readers', (t) => {
  const { routes, sinks } = follower();
  return serving(routes, async (path) => {
    const { signal } = new AbortController();
    const read = async (): Promise<unknown[]> => {
      const lines: unknown[] = [];
      for await (const line of followAgent(path, '/v1/lines', {}, signal)) lines.push(line);
      return lines;
    };
    const readers = [read(), read()];
    while (sinks.length < 2) await delay(5);
    for (const sink of sinks) for (const n of [1, 2, 3]) t.true(sink.send({ n }));
    for (const sink of sinks) sink.end();
    t.deepEqual(await Promise.all(readers), [
      [{ n: 1 }, { n: 2 }, { n: 3 }],
      [{ n: 1 }, { n: 2 }, { n: 3 }],
    ]);
  });
});

test('a reader that does not read loses lines of its own only, and is told how many', (t) => {
  const { routes, sinks } = follower();
  return serving(routes, async (path) => {
    const slow = connect(path);
    slow.write('GET /v1/lines HTTP/1.1\r\nhost: x\r\n\r\n');
    slow.pause();
    while (sinks.length < 1) await delay(5);
    const [sink] = sinks;
    let [sent, lost] = [0, 0];
    const line = { text: 'x'.repeat(1_000) };
    // Far more than its queue and the socket hold.
    for (let i = 0; i < 5_000; i++) {
      if (sink?.send(line) === true) sent++;
      else lost++;
      if (i % 500 === 0) await delay(1);
    }
    t.true(lost > 0 && sent > 0);
    t.deepEqual(await askAgent(path, '/v1/echo', { say: 'others are served' }), {
      said: 'others are served',
    });
    let got = '';
    slow.on('data', (chunk: Buffer) => (got += chunk.toString()));
    slow.resume();
    while (!got.includes('"lost"')) await delay(5);
    t.true(got.includes(`{"lost":${lost}}`));
    t.true(sink?.send({ after: true }));
    while (!got.includes('"after"')) await delay(5);
    slow.destroy();
    while (sink?.signal.aborted === false) await delay(5);
    t.false(sink?.send(line) ?? true);
  });
});

test('a long answer waits for its reader, and leaves nothing behind at each wait', async (t) => {
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', note);
  const rows = Array.from({ length: 5_000 }, (_, n) => ({ n, text: 'x'.repeat(1_000) }));
  const route: Route = { method: 'GET', path: '/v1/rows', handle: () => ({ kind: 'rows', rows }) };
  await serving([route], async (path) => {
    const got: unknown[] = [];
    const { signal } = new AbortController();
    for await (const row of followAgent(path, '/v1/rows', {}, signal)) got.push(row);
    t.deepEqual(got, rows);
  });
  process.off('warning', note);
  t.deepEqual(warnings, []);
});

test('closing ends endless answers', async (t) => {
  const { routes, sinks } = follower();
  const folder = mkdtempSync(join(tmpdir(), 'picket-control-'));
  const path = join(folder, 'picket.sock');
  const server = await openControlServer(path, routes, LOG);
  const lines = followAgent(path, '/v1/lines', {}, new AbortController().signal);
  const first = lines.next();
  while (sinks.length < 1) await delay(5);
  sinks[0]?.send({ n: 1 });
  t.deepEqual((await first).value, { n: 1 });
  await server.close();
  t.true((await lines.next()).done);
  rmSync(folder, { recursive: true });
});

test('a reader that is stopped while it waits ends', (t) => {
  const { routes, sinks } = follower();
  return serving(routes, async (path) => {
    const stop = new AbortController();
    const lines = followAgent(path, '/v1/lines', {}, stop.signal);
    const first = lines.next();
    while (sinks.length < 1) await delay(5);
    sinks[0]?.send({ n: 1 });
    t.deepEqual((await first).value, { n: 1 });
    const second = lines.next();
    stop.abort();
    t.true((await second).done);
  });
});

test('nobody there, and somebody else there, are told apart', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'picket-control-'));
  const nobody = await t.throwsAsync(() => askAgent(join(folder, 'picket.sock'), '/v1/status'), {
    instanceOf: ControlError,
  });
  t.is(nobody.fault, 'not-running');
  await serving(ECHO, async (path) => {
    const old = await t.throwsAsync(() => askAgent(path, '/v1/new'), { instanceOf: ControlError });
    t.is(old.fault, 'old-agent');
    t.regex(old.message, /the running agent \(version \d+\.\d+\.\d+\) cannot answer this/);
  });
  const path = join(folder, 'other.sock');
  const other = createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')).listen(path);
  await once(other, 'listening');
  const failed = await t.throwsAsync(() => askAgent(path, '/v1/status'), {
    instanceOf: ControlError,
  });
  t.is(failed.fault, 'failed');
  other.close();
  rmSync(folder, { recursive: true });
});

test('one name per namespace, whatever path leads to it', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'picket-control-'));
  mkdirSync(join(folder, 'netns'));
  const [a, b] = [join(folder, 'netns/a'), join(folder, 'netns/b')];
  writeFileSync(a, '');
  symlinkSync(a, b);
  t.is(controlSocketPath('/run/picket', ''), '/run/picket/picket.sock');
  t.is(controlSocketPath('/run/picket', a), controlSocketPath('/run/picket', b));
  t.not(controlSocketPath('/run/picket', a), '/run/picket/picket.sock');
  rmSync(folder, { recursive: true });
});
