import test from 'ava';
import { Access } from '../../../../agent/kube/access.ts';
import { ApiClient } from '../../../../agent/kube/client.ts';
import { EventSink } from '../../../../agent/kube/events.ts';
import type { ObjectEvent, ObjectReference } from '../../../../agent/kube/events.ts';
import { readKubeconfig } from '../../../../agent/kube/kubeconfig.ts';
import { KUBE_LIMITS } from '../../../../agent/kube/timing.ts';
import { until } from '../../../support/cli.ts';
import type { ApiServer } from '../../../support/api-server/server.ts';
import { withServer } from '../../../support/api-server/with-server.ts';

const POLICY: ObjectReference = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  namespace: 'shop',
  name: 'web',
  uid: 'u1',
};

const WRONG: ObjectEvent = {
  object: POLICY,
  reason: 'InvalidPolicy',
  message: 'spec.ingress[0].ports[0].protocol: no such protocol',
};

function of(name: string, message = WRONG.message): ObjectEvent {
  return { ...WRONG, object: { ...POLICY, name }, message };
}

interface Told {
  readonly server: ApiServer;
  readonly sink: EventSink;
  readonly refusals: string[];
  readonly sleeps: number[];
  /** Milliseconds. */
  readonly clock: { ms: number };
  /** Names of the objects that events are about, as the server has them. */
  readonly objects: () => string[];
}

/** A sink that sends to a server of its own, by a clock that stands still. */
async function telling(use: (told: Told) => Promise<void>): Promise<void> {
  await withServer(async (server) => {
    const stop = new AbortController();
    const access = new Access(() => readKubeconfig(server.kubeconfig()), {});
    const clock = { ms: Date.UTC(2026, 0, 1) };
    const refusals: string[] = [];
    const sleeps: number[] = [];
    const timing = {
      now: () => clock.ms,
      random: () => 0,
      sleep: (ms: number) => {
        sleeps.push(ms);
        return Promise.resolve();
      },
    };
    const sink = new EventSink({
      client: new ApiClient(access, KUBE_LIMITS),
      timing,
      limits: KUBE_LIMITS,
      node: 'n1',
      onRefused: (message) => refusals.push(message),
    });
    const events = server.store.resourceOf('v1', 'Event');
    const objects = (): string[] =>
      server.store.list(events).map((event) => (event['involvedObject'] as ObjectReference).name);
    const task = sink.run(stop.signal);
    try {
      await use({ server, sink, refusals, sleeps, clock, objects });
    } finally {
      stop.abort();
      await task;
      access.close();
    }
  });
}

test('an event is written as the API wants it, once', async (t) => {
  await telling(async ({ server, sink, objects }) => {
    sink.report(WRONG);
    sink.report(WRONG);
    sink.report({ ...WRONG, object: { ...POLICY, namespace: '', name: 'all' } });
    await until('two events', () => objects().length === 2);
    const posts = server.requests.filter(({ method }) => method === 'POST');
    t.deepEqual(
      posts.map(({ path }) => path),
      ['/api/v1/namespaces/shop/events', '/api/v1/namespaces/default/events'],
    );
    const events = server.store.list(server.store.resourceOf('v1', 'Event'));
    const { metadata, apiVersion, kind, ...event } = events.find(
      ({ metadata: { namespace } }) => namespace === 'shop',
    ) ?? { metadata: undefined };
    t.regex(String(metadata?.name), /^web\.[0-9a-f]{16}$/);
    t.deepEqual([apiVersion, kind], ['v1', 'Event']);
    t.deepEqual(event as unknown, {
      involvedObject: POLICY,
      type: 'Warning',
      reason: 'InvalidPolicy',
      message: WRONG.message,
      source: { component: 'picket', host: 'n1' },
      firstTimestamp: '2026-01-01T00:00:00Z',
      lastTimestamp: '2026-01-01T00:00:00Z',
      count: 1,
      reportingComponent: 'picket',
      reportingInstance: 'n1',
    });
  });
});

test('five a minute of one object, thirty of all, and again when the minute is over', async (t) => {
  await telling(async ({ sink, objects, clock }) => {
    for (let i = 0; i < 9; i += 1) sink.report(of('noisy', `message ${i}`));
    t.is(sink.dropped, 4);
    for (let i = 0; i < 40; i += 1) sink.report(of(`p${i}`));
    t.is(sink.dropped, 4 + 15);
    await until('thirty events', () => objects().length === 30);
    clock.ms += 60_000;
    sink.report(of('noisy', 'message 8'));
    sink.report(of('p39'));
    await until('two more', () => objects().length === 32);
  });
});

test('the same is told again when the server has forgotten it', async (t) => {
  await telling(async ({ server, sink, objects, clock }) => {
    sink.report(WRONG);
    await until('an event', () => objects().length === 1);
    clock.ms += 3_600_000;
    sink.report(WRONG);
    sink.report(of('next'));
    await until('the next one', () => objects().length === 2);
    const posts = server.requests.filter(({ method }) => method === 'POST');
    t.is(posts.length, 3, 'the second was answered by 409, and that is well');
    t.is(sink.dropped, 0);
  });
});

test('without permission: said once, then nothing is tried', async (t) => {
  await telling(async ({ server, sink, refusals }) => {
    server.forbidden.add('events');
    for (const name of ['a', 'b', 'c']) sink.report(of(name));
    await until('the refusal', () => refusals.length > 0);
    sink.report(of('d'));
    t.is(refusals.length, 1);
    t.regex(refusals[0] ?? '', /resources: \["events"\], verbs: \["create"\]\} is missing: 403/);
    t.is(server.requests.length, 1);
  });
});

test('a busy server is asked again when it says, one that fails a few times', async (t) => {
  await telling(async ({ server, sink, sleeps, objects }) => {
    const busy = { kind: 'status', code: 429, headers: { 'retry-after': '7' } } as const;
    server.faults.add({ verb: 'create' }, busy);
    server.faults.add({ verb: 'create' }, { kind: 'reset' });
    server.faults.add({ verb: 'create' }, { kind: 'status', code: 503 });
    sink.report(WRONG);
    await until('the event', () => objects().length === 1);
    t.deepEqual(sleeps, [7_000, 400, 800]);
  });
});

test('a server that is gone or refuses the event costs that event, and nobody waits', async (t) => {
  await telling(async ({ server, sink, sleeps, objects }) => {
    server.faults.add({ verb: 'create' }, { kind: 'status', code: 422 });
    server.faults.add({ verb: 'create' }, { kind: 'reset' }, 5);
    for (const name of ['refused', 'lost', 'told']) sink.report(of(name));
    await until('the third', () => objects().length === 1);
    t.deepEqual(objects(), ['told']);
    t.is(sleeps.length, 5);
    t.is(sink.dropped, 2);
  });
});
