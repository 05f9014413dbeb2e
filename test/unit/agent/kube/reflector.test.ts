import test from 'ava';
import { REAL_TIMING } from '../../../../agent/kube/timing.ts';
import type { Timing } from '../../../../agent/kube/timing.ts';
import { Mirror } from '../../../support/api-server/mirror.ts';
import { ObjectStore } from '../../../support/api-server/object-store.ts';
import { BUILT_IN } from '../../../support/api-server/resources.ts';
import { ApiServer } from '../../../support/api-server/server.ts';
import { pod, podKeys, podRequests, withServer } from '../../../support/api-server/with-server.ts';

const PODS = '/Pod';

test.serial('a streaming list is taken, then changes; nothing else is asked for', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'), pod('b'));
    await Mirror.with(server.kubeconfig(), async (mirror) => {
      await mirror.synced();
      t.deepEqual(mirror.keys(PODS), podKeys('a', 'b'));
      server.put(pod('c'), pod('a', { app: 'web' }));
      server.store.remove('v1', 'Pod', 'shop', 'b');
      await mirror.until('changes', () => mirror.keys(PODS).join() === podKeys('a', 'c').join());
      const { object, origin } = mirror.objects.get('/Pod/shop/a') ?? {};
      t.deepEqual((object as { metadata: { labels: object } }).metadata.labels, { app: 'web' });
      t.is(origin?.source, 'api pods shop/a');
      t.is(origin?.lineOf([]), undefined);
      t.is(podRequests(server).length, 1);
    });
  });
});

test.serial(
  'a server without streaming lists is asked for pages, then watched from their version',
  async (t) => {
    await withServer(
      async (server) => {
        server.put(...['a', 'b', 'c', 'd', 'e'].map((name) => pod(name)));
        const version = String(server.store.version);
        const limits = { pageSize: 2 };
        await Mirror.with(
          server.kubeconfig(),
          async (mirror) => {
            await mirror.synced();
            t.deepEqual(mirror.keys(PODS), podKeys('a', 'b', 'c', 'd', 'e'));
            const [streaming, ...rest] = podRequests(server).map(({ query }) => query);
            t.is(streaming?.get('sendInitialEvents'), 'true');
            t.deepEqual(
              rest.slice(0, 3).map((query) => [query.get('limit'), query.has('continue')]),
              [
                ['2', false],
                ['2', true],
                ['2', true],
              ],
            );
            await mirror.until('a watch', () => podRequests(server).length > 4);
            const watch = podRequests(server)[4]?.query;
            t.is(watch?.get('resourceVersion'), version);
            t.is(watch?.get('allowWatchBookmarks'), 'true');
            t.true(Number(watch?.get('timeoutSeconds')) >= 300);
            server.put(pod('f'));
            await mirror.until('a change', () => mirror.objects.has('/Pod/shop/f'));
            t.deepEqual([...mirror.allIssues], []);
          },
          { limits },
        );
      },
      { hasStreamingLists: false },
    );
  },
);

test.serial(
  'a server that refuses watches is told of once, and a list follows soon when it forgot our version',
  async (t) => {
    await withServer(async (server) => {
      server.put(pod('a'));
      const sleeps: number[] = [];
      const sleep: Timing['sleep'] = (ms, signal) => {
        sleeps.push(ms);
        return REAL_TIMING.sleep(ms, signal);
      };
      const limits = { discoveryMs: 1e6, healthyMs: 1e6, backOffMs: [5, 40] } as const;
      await Mirror.with(
        server.kubeconfig(),
        async (mirror) => {
          await mirror.synced();
          const target = { verb: 'watch', plural: 'pods' } as const;
          server.faults.add(target, { kind: 'status', code: 500 }, 6);
          server.faults.add(target, { kind: 'status', code: 410 });
          server.cutConnections();
          server.put(pod('b'));
          await mirror.until('the pod', () => mirror.objects.has('/Pod/shop/b'));
          await mirror.until('no issue', () => mirror.issues.length === 0);
          const told = [...mirror.allIssues].filter((text) => text.startsWith('api pods'));
          t.is(told.length, 1);
          t.regex(told[0] ?? '', /500/);
          // The cut waits 5 ms, the refusals 10, 20, and four times 40, each varied by half.
          t.is(sleeps.filter((ms) => ms >= 40 && ms < 1_000).length, 4);
        },
        { limits, timing: { ...REAL_TIMING, sleep } },
      );
    });
  },
);

test.serial(
  'a continue token that expires starts the list again, with larger pages; nothing is lost, nothing removed',
  async (t) => {
    await withServer(
      async (server) => {
        server.put(pod('a'), pod('b'), pod('c'));
        const page = server.listing.page.bind(server.listing);
        server.listing.page = (resource, query, matches) => {
          if (query.has('continue') && resource.plural === 'pods') {
            server.listing.expireContinues();
          }
          return page(resource, query, matches);
        };
        await Mirror.with(
          server.kubeconfig(),
          async (mirror) => {
            await mirror.synced();
            const lists = server.requests.filter(
              ({ path, query }) => path === '/api/v1/pods' && !query.has('watch'),
            );
            t.deepEqual(
              lists.map(({ query }) => query.get('limit')),
              ['1', '1', '4'],
            );
            t.deepEqual(mirror.keys(PODS), podKeys('a', 'b', 'c'));
            t.deepEqual(
              mirror.events.filter(({ op }) => op === 'delete'),
              [],
            );
          },
          { limits: { pageSize: 1 } },
        );
      },
      { hasStreamingLists: false },
    );
  },
);

test.serial(
  'a broken watch goes on where it was: what happened meanwhile is told, nothing is listed again',
  async (t) => {
    await withServer(async (server) => {
      server.put(pod('a'), pod('b'));
      await Mirror.with(server.kubeconfig(), async (mirror) => {
        await mirror.synced();
        const before = mirror.events.length;
        server.cutConnections();
        server.store.remove('v1', 'Pod', 'shop', 'a');
        server.put(pod('c'));
        await mirror.until('changes', () => mirror.keys(PODS).join() === podKeys('b', 'c').join());
        t.is(mirror.events.length, before + 2);
        const streamed = podRequests(server).filter(({ query }) => query.has('sendInitialEvents'));
        t.is(streamed.length, 1);
        t.true(mirror.isSynced);
      });
    });
  },
);

for (const hasStreamingLists of [true, false]) {
  const how = hasStreamingLists ? 'streaming lists' : 'pages';
  test.serial(
    `a forgotten version (410) means a new list; only what is gone is removed: ${how}`,
    async (t) => {
      await withServer(
        async (server) => {
          server.put(pod('a'), pod('b'), pod('c'));
          await Mirror.with(server.kubeconfig(), async (mirror) => {
            await mirror.synced();
            const before = mirror.events.length;
            server.store.remove('v1', 'Pod', 'shop', 'a');
            server.store.put(pod('d'));
            server.store.compact();
            server.cutConnections();
            await mirror.until(
              'follows',
              () => mirror.keys(PODS).join() === podKeys('b', 'c', 'd').join(),
            );
            const told = mirror.events.slice(before).map(({ op, key }) => `${op} ${key}`);
            t.deepEqual(told.toSorted(), ['delete /Pod/shop/a', 'put /Pod/shop/d']);
          });
        },
        { hasStreamingLists, bookmarkMs: 20 },
      );
    },
  );
}

test.serial(
  'an API server that is gone changes nothing; one that comes back behind us is listed',
  async (t) => {
    const first = await ApiServer.start({ store: new ObjectStore(BUILT_IN, 90_000) });
    first.put(pod('a'), pod('b'));
    const { port, authority } = first;
    await Mirror.with(first.kubeconfig(), async (mirror) => {
      try {
        await mirror.synced();
        await first.kill();
        await mirror.until('an issue', () => mirror.issues.length > 0);
        t.true(mirror.issues.every((text) => text.includes('what was known stays in force')));
        t.regex(mirror.issues.join('\n'), /^api https:\/\/127\.0\.0\.1:/);
        t.deepEqual(mirror.keys(PODS), podKeys('a', 'b'));
        t.true(mirror.isSynced);
        await withServer(
          async (second) => {
            second.put(pod('b', { app: 'new' }), pod('z'));
            await mirror.until(
              'follows',
              () => mirror.keys(PODS).join() === podKeys('b', 'z').join(),
            );
            await mirror.until('no issue', () => mirror.issues.length === 0);
          },
          { port, authority },
        );
      } finally {
        await first.close();
      }
    });
  },
);

test.serial('a version that goes back inside a watch means a new list', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'));
    await Mirror.with(server.kubeconfig(), async (mirror) => {
      await mirror.synced();
      const object = { kind: 'Pod', apiVersion: 'v1', metadata: { resourceVersion: '7' } };
      const text = `${JSON.stringify({ type: 'BOOKMARK', object })}\n`;
      server.faults.add({ verb: 'watch', plural: 'pods' }, { kind: 'garbage', text });
      server.cutConnections();
      const lists = (): number =>
        podRequests(server).filter(({ query }) => query.has('sendInitialEvents')).length;
      await mirror.until('a second list', () => lists() === 2);
      server.put(pod('b'));
      await mirror.until('follows', () => mirror.keys(PODS).join() === podKeys('a', 'b').join());
      t.pass();
    });
  });
});

test.serial('a server that never ends its streaming list is asked for pages', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'));
    server.faults.add({ verb: 'watch', plural: 'pods' }, { kind: 'mute' }, 2);
    await Mirror.with(
      server.kubeconfig(),
      async (mirror) => {
        await mirror.synced();
        t.deepEqual(mirror.keys(PODS), podKeys('a'));
        t.true(podRequests(server).some(({ query }) => query.get('limit') === '500'));
      },
      { limits: { answerMs: 300 } },
    );
  });
});

test.serial('watches that stay silent end in a new list', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'));
    await Mirror.with(
      server.kubeconfig(),
      async (mirror) => {
        await mirror.synced();
        server.faults.add({ verb: 'watch', plural: 'pods' }, { kind: 'mute' }, 3);
        server.cutConnections();
        server.put(pod('b'));
        await mirror.until('follows', () => mirror.objects.has('/Pod/shop/b'));
        const lists = podRequests(server).filter(({ query }) => query.has('sendInitialEvents'));
        t.true(lists.length >= 2);
      },
      { limits: { idleMs: 60 } },
    );
  });
});

test.serial('pages that are too large become smaller', async (t) => {
  await withServer(
    async (server) => {
      const names = Array.from({ length: 40 }, (_, i) => `p${i + 10}`);
      server.put(...names.map((name) => pod(name, { padding: 'x'.repeat(60) })));
      await Mirror.with(
        server.kubeconfig(),
        async (mirror) => {
          await mirror.synced();
          t.deepEqual(mirror.keys(PODS), podKeys(...names));
          const limits = podRequests(server).map(({ query }) => query.get('limit'));
          t.true(limits.includes('500') && limits.includes('7'));
        },
        { limits: { maxPageBytes: 8_000 } },
      );
    },
    { hasStreamingLists: false },
  );
});

test.serial('an event that is too long is refused, told, and costs no memory', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'));
    await Mirror.with(
      server.kubeconfig(),
      async (mirror) => {
        await mirror.synced();
        server.put(pod('b', { long: 'x'.repeat(100_000) }));
        await mirror.until('an issue', () =>
          mirror.issues.some((text) => text.includes('too large')),
        );
        t.deepEqual(mirror.keys(PODS), podKeys('a'));
        server.put(pod('b'));
        server.store.compact();
        await mirror.until('follows', () => mirror.objects.has('/Pod/shop/b'));
      },
      { limits: { maxLineBytes: 20_000 } },
    );
  });
});

test.serial('a slow reader holds the server back and loses nothing', async (t) => {
  await withServer(async (server) => {
    const names = Array.from({ length: 2000 }, (_, i) => `p${i + 1000}`);
    server.put(...names.map((name) => pod(name)));
    await Mirror.with(
      server.kubeconfig(),
      async (mirror) => {
        await mirror.until('the first batch', () => mirror.batches > 0);
        mirror.isPaused = true;
        server.store.remove('v1', 'Pod', 'shop', 'p1000');
        server.put(pod('last'));
        mirror.isPaused = false;
        await mirror.until('the last pod', () => mirror.objects.has('/Pod/shop/last'));
        await mirror.synced();
        t.deepEqual(mirror.keys(PODS), podKeys('last', ...names.slice(1)));
        // Room for 50, and each of seven reflectors may come with one more.
        t.true(mirror.largestBatch <= 57);
      },
      { limits: { maxWaiting: 50 } },
    );
  });
});

test.serial(
  'changes that policy does not read are no events, and finished pods leave',
  async (t) => {
    await withServer(async (server) => {
      server.put(pod('a'));
      await Mirror.with(server.kubeconfig(), async (mirror) => {
        await mirror.synced();
        const before = mirror.events.length;
        const a = pod('a');
        server.put({
          ...a,
          status: { ...(a['status'] as object), conditions: [{ type: 'Ready' }] },
        });
        server.put(pod('b'));
        await mirror.until('the other pod', () => mirror.objects.has('/Pod/shop/b'));
        t.deepEqual(
          mirror.events.slice(before).map(({ key }) => key),
          podKeys('b'),
        );
        server.put({ ...a, status: { phase: 'Succeeded', podIP: '10.0.0.1' } });
        await mirror.until('it left', () => !mirror.objects.has('/Pod/shop/a'));
      });
    });
  },
);
