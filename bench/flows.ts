/**
 * The figures of issue 6: flow logs of a real `picket run`, in network namespaces of their own. Out: figures. What was denied is told by the
 * kernel's counters, what was logged by the agent; sender and agent share the machine's processors.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { FlowRecord } from '../agent/flowlog/record.ts';
import { until } from '../test/support/cli.ts';
import { globalPolicy } from '../test/support/kernel-node.ts';
import { projectPath } from '../test/support/tools.ts';
import { FlowNode, OPEN_PORT } from './flow-node.ts';
import type { Traffic } from './flow-node.ts';
import type { Record } from './kube.ts';
import { readMemory } from './process-figures.ts';

export async function flowFigures(record: Record): Promise<void> {
  await FlowNode.with(UNLIMITED, async (node) => {
    await completeness(node, 1, record);
    await completeness(node, 10_000, record);
    await stalls(node, record);
  });
  await forwarding(record);
  await memory(record);
  await delays(1, record);
  await delays(5, record);
}

type Settings = Readonly<globalThis.Record<string, string>>;

const OFF: Settings = { PICKET_FLOW_LOG_VERDICTS: '[]' };
const UNLIMITED: Settings = { PICKET_FLOW_LOG_RATE: '0' };
const LIMITED: Settings = {};
const BOTH = 'deny,allow';

const FIRST_RATE = 100_000;
const GROWTH = 1.25;
const SECONDS = 4;
/** A sender that does not reach this part of the rate has met its own limit, or the kernel's. */
const REACHED = 0.95;

/** Rising rates until packets are missing, or the kernel takes no more. */
async function completeness(node: FlowNode, sources: number, record: Record): Promise<void> {
  let best = 0;
  for (let rate = FIRST_RATE; ; rate = Math.round(rate * GROWTH)) {
    const seen = await watched(node, { sources, rate, count: rate * SECONDS });
    const what = `denied packets a second, ${sources} flow${sources === 1 ? '' : 's'}`;
    if (seen.missing > 0) {
      record(`${what}: all of them logged`, best, '/s', `for ${SECONDS} s`);
      const share = `${((100 * seen.missing) / seen.denied).toFixed(1)} % missing, ${whereLost(seen)}`;
      record(`${what}: first loss`, seen.rate, '/s', share);
      return;
    }
    best = Math.max(best, seen.rate);
    if (seen.rate < REACHED * rate) {
      const limit = `for ${SECONDS} s; no loss at the most that kernel and sender do`;
      record(`${what}: all of them logged`, best, '/s', limit);
      return;
    }
  }
}

interface Watched {
  /** Packets a second that were sent. */
  readonly rate: number;
  readonly denied: number;
  /** Denied and not received by the agent. */
  readonly missing: number;
  /** Of those, what gaps of sequence numbers tell. */
  readonly gaps: number;
  /** Datagrams, of up to a hundred packets. */
  readonly socketDrops: number;
}

/** Sends, waits until the agent has what it will get, and compares. */
async function watched(node: FlowNode, traffic: Traffic): Promise<Watched> {
  const before = await totals(node);
  const { rate } = await node.send(traffic);
  let last = -1;
  let now = await totals(node);
  while (now.received !== last || now.received === before.received) {
    last = now.received;
    await delay(500);
    now = await totals(node);
  }
  const denied = now.denied - before.denied;
  return {
    rate,
    denied,
    missing: denied - (now.received - before.received),
    gaps: now.lost - before.lost,
    socketDrops: now.socketDrops - before.socketDrops,
  };
}

async function totals(node: FlowNode) {
  const metrics = await node.metrics();
  return {
    denied: await node.denied(),
    received: metrics.get('picket_log_packets_total') ?? 0,
    lost: metrics.get('picket_log_packets_lost_total') ?? 0,
    socketDrops: await node.socketDrops(),
  };
}

function whereLost({ gaps, socketDrops }: Watched): string {
  if (gaps === 0) return 'before the kernel numbered them';
  return socketDrops > 0 ? "at the kernel's socket" : "at the reader's queue";
}

const CHANGES = 20;
const CHANGE_PAUSE_MS = 300;

/** How late the event loop comes, and policies, while records pour in. */
async function stalls(node: FlowNode, record: Record): Promise<void> {
  const quiet = await policyDelays(node);
  record('policy file written to applied, quiet: median', quantile(quiet, 0.5), 'ms');
  record('policy file written to applied, quiet: maximum', quantile(quiet, 1), 'ms');
  await stallsAt('200,000 a second', node, { rate: 200_000, count: 2_000_000 }, record);
  await stallsAt('as fast as the kernel denies', node, { count: 3_000_000 }, record);
}

async function stallsAt(what: string, node: FlowNode, traffic: Traffic, record: Record) {
  await node.metrics();
  const sending = node.send({ sources: 10_000, ...traffic });
  const [{ rate }, busy] = await Promise.all([sending, policyDelays(node)]);
  const lag = await node.metrics();
  const note = `at ${Math.round(rate)} logged packets a second, 10,000 flows`;
  for (const [part, name] of LAG_PARTS) {
    const seconds = lag.get(`picket_event_loop_lag_seconds{part="${part}"}`) ?? Number.NaN;
    record(`${what}: event loop late, ${name}`, seconds * 1_000, 'ms', note);
  }
  record(`${what}: policy file written to applied, median`, quantile(busy, 0.5), 'ms');
  record(`${what}: policy file written to applied, maximum`, quantile(busy, 1), 'ms');
}

const LAG_PARTS = [
  ['0.5', 'median'],
  ['0.99', 'p99'],
  ['1', 'maximum'],
] as const;

/** Milliseconds, sorted: from a manifest that is written to the line in the agent's log. */
async function policyDelays(node: FlowNode): Promise<number[]> {
  const delays: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    await delay(CHANGE_PAUSE_MS);
    const from = node.log().length;
    const nets = [`203.0.113.${i}/32`];
    const writtenMs = Date.now();
    node.write('one.json', [
      globalPolicy('one', { selector: 'all()', ingress: [{ action: 'Allow', source: { nets } }] }),
    ]);
    const applied = () => node.log().find(({ msg }, at) => at >= from && msg === 'applied');
    await until('the policy is applied', () => applied() !== undefined);
    delays.push(Date.parse(String(applied()?.['time'])) - writtenMs);
  }
  return delays.toSorted((a, b) => a - b);
}

const ROUNDS = 15;
const ROUND_PACKETS = 60_000;
const ESTABLISHED: Traffic = { count: ROUND_PACKETS, port: OPEN_PORT };

/** Three nodes that take turns, each as fast as the kernel goes; ratios within each round. */
async function forwarding(record: Record): Promise<void> {
  const denied = { count: ROUND_PACKETS };
  const beside = { count: ROUND_PACKETS, port: OPEN_PORT, otherPort: OPEN_PORT + 1 };
  const fresh = { count: ROUND_PACKETS, port: OPEN_PORT, sources: 61, sports: 997 };
  await FlowNode.with(OFF, (off) =>
    FlowNode.with({ ...UNLIMITED, PICKET_FLOW_LOG_VERDICTS: BOTH }, (on) =>
      FlowNode.with({ ...LIMITED, PICKET_FLOW_LOG_VERDICTS: BOTH }, async (limited) => {
        const nodes = { off, on, limited };
        await takeTurns('denied packets', nodes, denied, record);
        await takeTurns('every second packet denied', nodes, beside, record);
        await takeTurns('allowed, each a new connection', nodes, fresh, record);
        await takeTurns('allowed, established connection', nodes, ESTABLISHED, record);
      }),
    ),
  );
}

interface Modes<T> {
  readonly off: T;
  readonly on: T;
  readonly limited: T;
}

async function takeTurns(
  what: string,
  nodes: Modes<FlowNode>,
  traffic: Traffic,
  record: Record,
): Promise<void> {
  const rates: Modes<number>[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const rate = async (node: FlowNode): Promise<number> => {
      await node.forgetConnections();
      if (traffic === ESTABLISHED) {
        await node.send({ ...traffic, count: 1 });
        await node.answer();
      }
      return (await node.send(traffic)).rate;
    };
    const found = {
      off: await rate(nodes.off),
      on: await rate(nodes.on),
      limited: await rate(nodes.limited),
    };
    // The first round warms up.
    if (round > 0) rates.push(found);
  }
  const of = (value: (found: Modes<number>) => number): number =>
    quantile(
      rates.map(value).toSorted((a, b) => a - b),
      0.5,
    );
  const note = `median of ${ROUNDS}`;
  record(
    `${what}: no logging`,
    of(({ off }) => off),
    '/s',
    note,
  );
  record(
    `${what}: all logged / no logging`,
    of(({ on, off }) => on / off),
    'x',
    note,
  );
  record(
    `${what}: rate limited / no logging`,
    of(({ limited, off }) => limited / off),
    'x',
    note,
  );
}

const REST_MS = 12_000;

/** The window's bound is 100,000 flows; three times as many in one window, then. */
async function memory(record: Record): Promise<void> {
  await FlowNode.with({ ...UNLIMITED, PICKET_FLOW_LOG_FLUSH_SECONDS: '5' }, async (node) => {
    const figure = async (when: string, note?: string): Promise<void> => {
      const { now, peak } = readMemory(node.pid);
      record(`memory ${when}`, now, 'MiB', note);
      record(`memory ${when}: peak so far`, peak, 'MiB', note);
    };
    await figure('before any flow');
    for (let i = 0; i < 3; i++) {
      await node.send({ sources: 100_000, rate: 50_000, count: 200_000 });
      await delay(REST_MS);
    }
    await figure('after 3 windows of up to 100,000 flows', 'at rest');
    for (let i = 0; i < 3; i++) {
      await node.send({ sources: 1_000_000, rate: 100_000, count: 1_000_000 });
      await delay(REST_MS);
    }
    const dropped = (await node.metrics()).get('picket_log_packets_dropped_total') ?? 0;
    await figure('after 3 windows of 500,000 flows', `${dropped} packets counted as dropped`);
  });
}

const DELAYED_PACKETS = 300;
const DELAYED_RATE = 7;

/** Single packets, each a flow, from the sender's clock to the line that `picket flows --follow` prints. */
async function delays(flushSeconds: number, record: Record): Promise<void> {
  const settings = { ...UNLIMITED, PICKET_FLOW_LOG_FLUSH_SECONDS: String(flushSeconds) };
  await FlowNode.with(settings, async (node) => {
    const follower = follow(node);
    await until('the reader follows', () => follower.isThere(node));
    const traffic = { sources: 100_000, rate: DELAYED_RATE, count: DELAYED_PACKETS };
    const { atMs } = await node.send(traffic);
    await until('all records', () => follower.seen.size >= DELAYED_PACKETS);
    follower.stop();
    const whole: number[] = [];
    const reading: number[] = [];
    atMs.forEach((sentMs, i) => {
      const seen = follower.seen.get(`20.0.${i >> 8}.${i & 255}`);
      if (seen === undefined) throw new Error(`no record of packet ${i}`);
      whole.push(seen.atMs - sentMs);
      reading.push(seen.atMs - Date.parse(seen.record.ts));
    });
    const note = `${DELAYED_PACKETS} packets`;
    const figure = (what: string, values: number[], part: number): void => {
      const sorted = values.toSorted((a, b) => a - b);
      record(`${what}, flush of ${flushSeconds} s`, quantile(sorted, part), 'ms', note);
    };
    figure('packet to line of picket flows, median', whole, 0.5);
    figure('packet to line of picket flows, p99', whole, 0.99);
    figure('record made to line of picket flows, median', reading, 0.5);
    figure('record made to line of picket flows, p99', reading, 0.99);
  });
}

interface Follower {
  /** Records by source address, and when they were read. */
  readonly seen: ReadonlyMap<string, { readonly record: FlowRecord; readonly atMs: number }>;
  /** Sends a packet of its own; true once one has been told. */
  isThere(node: FlowNode): Promise<boolean>;
  stop(): void;
}

function follow(node: FlowNode): Follower {
  const seen = new Map<string, { record: FlowRecord; atMs: number }>();
  const args = ['flows', '--follow', '--netns', node.router.path, '-o', 'json', '--last', '0'];
  const child = spawn(projectPath('bin/picket'), args, {
    env: { ...process.env, ...node.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const record = JSON.parse(line) as FlowRecord;
    seen.set(record.src.ip ?? '', { record, atMs: performance.timeOrigin + performance.now() });
  });
  return {
    seen,
    isThere: async () => {
      await node.send({ count: 1 });
      await delay(500);
      const isThere = seen.size > 0;
      if (isThere) seen.clear();
      return isThere;
    },
    stop: () => void child.kill(),
  };
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}
