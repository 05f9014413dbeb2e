/**
 * What runs inside a workload: a server that echoes on one TCP and UDP port, and a client that tries to reach others.
 * Argument: the port. Lines on stdin: JSON of `Attempt`. Lines on stdout: `ready`, then JSON of `Outcome` per attempt.
 * Ends when stdin does.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** One question: does an echo come back from there within `timeoutMs`? */
export interface Attempt {
  readonly id: number;
  readonly transport: 'TCP' | 'UDP';
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}

export interface Outcome {
  readonly id: number;
  readonly reached: boolean;
}

const GREETING = 'picket demo';

await serve(Number(process.argv[2]));
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) void answer(line);
process.exit(0);

async function serve(port: number): Promise<void> {
  const tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  const udp = createSocket('udp6');
  udp.on('message', (message, from) => udp.send(message, from.port, from.address));
  tcp.listen(port, '::');
  udp.bind(port, '::');
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
}

async function answer(line: string): Promise<void> {
  const attempt = JSON.parse(line) as Attempt;
  const signal = AbortSignal.timeout(attempt.timeoutMs);
  const trial = attempt.transport === 'TCP' ? tryTcp : tryUdp;
  const reached = await trial(attempt, signal).catch(() => false);
  const outcome: Outcome = { id: attempt.id, reached };
  console.log(JSON.stringify(outcome));
}

async function tryTcp(attempt: Attempt, signal: AbortSignal): Promise<boolean> {
  const socket = connect({ host: attempt.host, port: attempt.port });
  try {
    await once(socket, 'connect', { signal });
    socket.write(GREETING);
    const [echo] = (await once(socket, 'data', { signal })) as [Buffer];
    return echo.toString() === GREETING;
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}

async function tryUdp(attempt: Attempt, signal: AbortSignal): Promise<boolean> {
  const socket = createSocket(attempt.host.includes(':') ? 'udp6' : 'udp4');
  try {
    const echo = once(socket, 'message', { signal }) as Promise<[Buffer]>;
    socket.send(GREETING, attempt.port, attempt.host);
    return (await echo)[0].toString() === GREETING;
  } finally {
    socket.on('error', () => undefined);
    socket.close();
  }
}
