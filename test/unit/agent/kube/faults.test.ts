/** Whatever happens to an answer once or twice, the follower ends up with what the server has, and never removes anything meanwhile. */
import test from 'ava';
import type { Fault, FaultTarget } from '../../../support/api-server/faults.ts';
import { Mirror } from '../../../support/api-server/mirror.ts';
import { pod, podKeys, withServer } from '../../../support/api-server/with-server.ts';

const FAULTS: readonly { readonly name: string; readonly fault: Fault }[] = [
  { name: 'no answer', fault: { kind: 'hang' } },
  { name: 'reset', fault: { kind: 'reset' } },
  { name: 'reset in mid-line', fault: { kind: 'tear', afterBytes: 150 } },
  { name: 'reset after a line', fault: { kind: 'tear', afterBytes: 600 } },
  { name: 'silence', fault: { kind: 'mute' } },
  { name: 'garbage', fault: { kind: 'garbage', text: '<html>\n' } },
  { name: 'half an object', fault: { kind: 'garbage', text: '{"type":"ADDED","object":{"meta\n' } },
  {
    name: 'an object without metadata',
    fault: { kind: 'garbage', text: '{"type":"ADDED","object":{}}\n' },
  },
  {
    name: 'an error event',
    fault: {
      kind: 'garbage',
      text: '{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd"}}\n',
    },
  },
  { name: 'one byte at a time', fault: { kind: 'chop' } },
  { name: 'a slow drip', fault: { kind: 'drip', bytes: 200, everyMs: 1 } },
  { name: '401', fault: { kind: 'status', code: 401 } },
  { name: '404', fault: { kind: 'status', code: 404 } },
  { name: '410', fault: { kind: 'status', code: 410 } },
  { name: '429', fault: { kind: 'status', code: 429, headers: { 'retry-after': '0' } } },
  { name: '500', fault: { kind: 'status', code: 500 } },
  { name: '503', fault: { kind: 'status', code: 503, headers: { 'retry-after': 'soon' } } },
];

interface Stage {
  readonly name: string;
  readonly target: FaultTarget;
  readonly hasStreamingLists: boolean;
  readonly isLater: boolean;
}

const STAGES: readonly Stage[] = [
  {
    name: 'streaming list',
    target: { verb: 'watch', plural: 'pods' },
    hasStreamingLists: true,
    isLater: false,
  },
  {
    name: 'page',
    target: { verb: 'list', plural: 'pods' },
    hasStreamingLists: false,
    isLater: false,
  },
  {
    name: 'watch',
    target: { verb: 'watch', plural: 'pods' },
    hasStreamingLists: true,
    isLater: true,
  },
  { name: 'discovery', target: { verb: 'discovery' }, hasStreamingLists: true, isLater: false },
];

/** For faults that are silence; shorter than a machine may be busy, so only what comes out in the end is asserted. */
const IMPATIENT = { answerMs: 400, idleMs: 400 };

for (const { name, target, hasStreamingLists, isLater } of STAGES) {
  for (const { name: what, fault } of FAULTS) {
    test.serial(`${name}: ${what}`, async (t) => {
      await withServer(
        async (server) => {
          server.put(pod('a', { text: 'größer €' }), pod('b'));
          if (!isLater) server.faults.add(target, fault, 2);
          const limits = ['hang', 'mute'].includes(fault.kind) ? IMPATIENT : {};
          const follow = async (mirror: Mirror): Promise<void> => {
            await mirror.synced();
            if (isLater) {
              server.faults.add(target, fault, 2);
              server.cutConnections();
            }
            server.put(pod('c', { text: '日本' }));
            await mirror.until('the last pod', () => mirror.objects.has('/Pod/shop/c'));
            t.deepEqual(mirror.keys('/Pod'), podKeys('a', 'b', 'c'));
            t.deepEqual(
              mirror.events.filter(({ op }) => op === 'delete'),
              [],
            );
            const labels = ['a', 'c'].map((key) => labelsOf(mirror, key)['text']);
            t.deepEqual(labels, ['größer €', '日本']);
            await mirror.until('no issue', () => mirror.issues.length === 0);
            t.true(server.faults.left < 2);
          };
          await Mirror.with(server.kubeconfig(), follow, { limits });
        },
        { hasStreamingLists, bookmarkMs: 20 },
      );
    });
  }
}

function labelsOf(mirror: Mirror, name: string): Readonly<Record<string, string>> {
  const { object } = mirror.objects.get(`/Pod/shop/${name}`) ?? {};
  return (object as { metadata: { labels: Record<string, string> } }).metadata.labels;
}
