/** What the service manager hears of an agent, message by message. */
import { EventEmitter } from 'node:events';
import test from 'ava';
import type { Notifier, NotifyFields } from '../../../../agent/obs/notify.ts';
import { newState } from '../../../../agent/runner/state.ts';
import { MAX_STEP_MS, Supervised } from '../../../../agent/runner/supervised.ts';
import type { Supervisable } from '../../../../agent/runner/supervised.ts';

interface Heard {
  /** The keys of each message, with the status. */
  readonly take: () => string[];
  isDeaf: boolean;
  readonly supervised: Supervised;
}

function listen(watchdogMs?: number): Heard {
  let messages: NotifyFields[] = [];
  const heard: Heard = {
    isDeaf: false,
    take: () => {
      const texts = messages.map((fields) =>
        Object.keys(fields)
          .map((key) => (key === 'STATUS' ? String(fields[key]) : key))
          .join(' '),
      );
      messages = [];
      return texts;
    },
    supervised: new Supervised(
      (() => {
        const notifier: Notifier = {
          watchdogMs,
          send: (fields) => {
            if (!heard.isDeaf) messages.push(fields);
            return !heard.isDeaf;
          },
        };
        return notifier;
      })(),
    ),
  };
  return heard;
}

function agent(stepMs = 0): Supervisable {
  const state = newState(['disk'], 0);
  const engine = {
    endpoints: () => [1],
    hostEndpoints: () => [],
  } as unknown as Supervisable['engine'];
  return {
    state,
    engine,
    events: new EventEmitter(),
    stepMs: () => stepMs,
  };
}

function bringUp({ state }: Supervisable): void {
  for (const source of state.sources) {
    source.isSynced = true;
    source.events = 1;
  }
  state.isInSync = true;
}

const WAITING = 'waiting for disk, what was in force stays';
const IN_SYNC = 'in sync, 1 workload';

test('a start asks for time until it is up, and says each thing once', (t) => {
  const { supervised, take } = listen();
  const one = agent();
  supervised.follow(one);
  t.deepEqual(take(), [WAITING, 'EXTEND_TIMEOUT_USEC']);
  supervised.look();
  t.deepEqual(take(), ['EXTEND_TIMEOUT_USEC']);
  bringUp(one);
  supervised.look();
  t.deepEqual(take(), [`READY ${IN_SYNC}`]);
  supervised.look();
  t.deepEqual(take(), []);
  one.state.isInSync = false;
  one.state.lastError = 'EPERM';
  supervised.look();
  t.deepEqual(take(), ['not applied, what was in force stays: EPERM']);
  supervised.stopping();
  supervised.look();
  t.deepEqual(take(), ['STOPPING stopping; the rules stay in force']);
});

test('a reload ends with READY: with the next agent, or with the one that stays', (t) => {
  const { supervised, take } = listen();
  const one = agent();
  bringUp(one);
  supervised.follow(one);
  take();
  supervised.reload();
  one.state.configurationError = 'bad';
  supervised.look();
  t.deepEqual(take(), ['RELOADING MONOTONIC_USEC', `READY NOT reloaded: bad; ${IN_SYNC}`]);
  supervised.reload();
  const two = agent();
  supervised.follow(two);
  t.deepEqual(take(), ['RELOADING MONOTONIC_USEC', WAITING, 'EXTEND_TIMEOUT_USEC']);
  bringUp(two);
  supervised.look();
  t.deepEqual(take(), [`READY ${IN_SYNC}`]);
});

test('READY that is not taken is said again', (t) => {
  const heard = listen();
  const one = agent();
  bringUp(one);
  heard.isDeaf = true;
  heard.supervised.follow(one);
  heard.isDeaf = false;
  heard.supervised.look();
  t.deepEqual(heard.take(), [`READY ${IN_SYNC}`]);
});

for (const [name, stepMs, out] of [
  ['idle', 0, ['WATCHDOG']],
  ['in a long step', MAX_STEP_MS - 1, ['WATCHDOG']],
  ['in a step that hangs', MAX_STEP_MS + 1, []],
] as const) {
  test(`the watchdog of an agent ${name}`, (t) => {
    const { supervised, take } = listen(60_000);
    const one = agent(stepMs);
    bringUp(one);
    supervised.follow(one);
    t.deepEqual(take(), [`READY ${IN_SYNC}`, ...out]);
  });
}

test('no watchdog, no sign of life', (t) => {
  const { supervised, take } = listen();
  const one = agent();
  bringUp(one);
  supervised.follow(one);
  t.deepEqual(take(), [`READY ${IN_SYNC}`]);
});
