/**
 * The API server of the cluster figures, a process of its own: the test server, filled. Comes in: questions over the IPC channel (Ask); goes
 * out: one answer each. Objects are changed here, so that the time of a change is that of the server.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ApiServer } from '../test/support/api-server/server.ts';
import { KUBE_SIZE, kubeObjects, podOf, policyOf } from './kube-world.ts';

export type Ask =
  /** Changes that many pods a second, until told otherwise; 0 = none. Answered at once. */
  | { readonly ask: 'rate'; readonly perSecond: number }
  /** How many pods were changed so far. */
  | { readonly ask: 'changed' }
  /** Replaces the policy of a namespace. */
  | { readonly ask: 'policy'; readonly namespace: number; readonly net: string };

export type Answer =
  | { readonly answer: 'ready'; readonly kubeconfig: string }
  | { readonly answer: 'rate' }
  | { readonly answer: 'changed'; readonly count: number }
  /** When it was changed: `process.hrtime()` in nanoseconds, one clock for all processes. */
  | { readonly answer: 'policy'; readonly atNs: string };

const server = await ApiServer.start();
server.store.fill(kubeObjects(KUBE_SIZE));

/** Steps of the generator between ticks, milliseconds. */
const TICK_MS = 10;
/** No divisor of the number of pods, so that every pod has its turn. */
const STRIDE = 7919;
let perSecond = 0;
let changed = 0;

function changeNext(): void {
  const index = (changed * STRIDE) % KUBE_SIZE.pods;
  changed += 1;
  server.put(podOf(index, 1 + (changed % 24), KUBE_SIZE));
}

async function generate(): Promise<never> {
  let owed = 0;
  for (let before = performance.now(); ;) {
    await delay(TICK_MS);
    const now = performance.now();
    owed = perSecond === 0 ? 0 : owed + ((now - before) / 1000) * perSecond;
    before = now;
    for (; owed >= 1; owed -= 1) changeNext();
    // Watches are open: nobody asks for history.
    if (changed % 1000 === 0) server.store.compact();
  }
}

function answer(asked: Ask): Answer {
  switch (asked.ask) {
    case 'rate':
      perSecond = asked.perSecond;
      return { answer: 'rate' };
    case 'changed':
      return { answer: 'changed', count: changed };
    case 'policy': {
      const object = policyOf(asked.namespace, 8080, asked.net, KUBE_SIZE);
      const atNs = String(process.hrtime.bigint());
      server.put(object);
      return { answer: 'policy', atNs };
    }
  }
}

function say(message: Answer): void {
  process.send?.(message);
}

process.on('message', (asked: Ask) => say(answer(asked)));
process.once('disconnect', () => {
  void server.close().finally(() => process.exit());
});
say({ answer: 'ready', kubeconfig: server.kubeconfig() });
await generate();
