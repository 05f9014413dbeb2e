/** Questions to answers: which nodes judge, which families, what is said of names that cannot be asked about. */
import test from 'ava';
import { answer } from '../../../../agent/explain/answer.ts';
import { unknownNode } from '../../../../agent/explain/ends.ts';
import { printAnswer } from '../../../../agent/explain/print.ts';
import { readQuestion } from '../../../../agent/explain/question.ts';
import { sceneOf } from '../../../../agent/explain/scene.ts';
import type { Scene } from '../../../../agent/explain/scene.ts';
import type { Resource } from '../../../../compiler/model/cluster.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../../../compiler/oracle/world.ts';
import { keyOf } from '../../../support/keys.ts';
import {
  address,
  entity,
  equals,
  namespace,
  policy,
  port,
  rule,
  TCP,
  tier,
  workload,
} from '../../../support/world.ts';

const WEB = workload('shop/web', ['10.0.0.1', 'fd00::1'], { node: 'a', labels: { app: 'web' } });
const DB = workload('shop/db', ['10.0.0.2', 'fd00::2'], { node: 'b', labels: { app: 'db' } });
const OLD = workload('shop/old', ['10.0.0.3'], { node: 'a' });
const DONE = workload('shop/done', [], { node: 'a', active: false });
const SIX = workload('pay/six', ['fd00::6'], { node: 'a' });
const NODE_B: Resource = {
  kind: 'Node',
  name: 'b',
  labels: {},
  addresses: [address('192.168.0.2'), address('fd99::2')],
};
const SERVICE: Resource = { kind: 'Service', namespace: 'shop', name: 'front' };

const ON_80 = { protocol: TCP, destination: entity({ ports: [port(80)] }) };
const DB_IN = policy('db-in', {
  namespace: 'shop',
  selector: equals('app', 'db'),
  types: ['ingress'],
  ingress: [rule('log'), rule('allow', { ...ON_80, ipVersion: 4 }, 1)],
});
const WEB_OUT = policy('web-out', {
  namespace: 'shop',
  selector: equals('app', 'web'),
  types: ['egress'],
  tier: 'first',
  egress: [rule('pass', ON_80)],
});
const EMPTY = policy('empty', {
  namespace: 'shop',
  order: 1,
  selector: equals('app', 'db'),
  types: ['ingress'],
});

const ALL = [
  namespace('shop'),
  namespace('pay'),
  tier('first', 1),
  WEB,
  DB,
  OLD,
  DONE,
  SIX,
  NODE_B,
  SERVICE,
  DB_IN,
  WEB_OUT,
  EMPTY,
];

function scene(node?: string, resources: readonly Resource[] = ALL): Scene {
  const store = {
    resources: () => resources.map((resource): [string, Resource] => [keyOf(resource), resource]),
    locate: (key: string, path: readonly (string | number)[]) => ({
      source: `${key}.yaml`,
      line: path.length,
    }),
  };
  return sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node });
}

/** `4 a:egress=allow b:ingress=deny`, a flow each; or what is wrong. */
function ask(text: string, at: Scene = scene()): string {
  const [from = '', to = '', service = ''] = text.split(' ');
  const question = readQuestion(from, to, service);
  if ('wrong' in question) throw new TypeError(question.wrong);
  const answered = answer(at, question.value);
  if ('wrong' in answered) return answered.wrong;
  const flows = answered.value.flows.map(({ family, stages }) => {
    const shown = stages.map(({ node, direction, decision: { verdict, decisive } }) => {
      const why = decisive.kind === 'rule' ? decisive.rule.policy : decisive.reason;
      return `${node}:${direction}=${verdict}(${why})`;
    });
    return [family, ...shown].join(' ');
  });
  return [answered.value.verdict, ...flows].join('; ');
}

const ROWS = [
  {
    name: 'every node judges its own workloads; families may differ',
    in: 'shop/web shop/db tcp/80',
    out:
      'mixed; 4 a:egress=allow(pro/kns.shop) b:ingress=allow(np/shop/db-in); ' +
      '6 a:egress=allow(pro/kns.shop) b:ingress=deny(end-of-tier)',
  },
  {
    name: 'a sender that is denied is not asked about at the receiver',
    in: 'shop/web shop/db tcp/81',
    out: 'deny; 4 a:egress=deny(end-of-tier); 6 a:egress=deny(end-of-tier)',
  },
  {
    name: 'only the node that is asked',
    in: 'shop/web shop/db tcp/80',
    node: 'b',
    out: 'mixed; 4 b:ingress=allow(np/shop/db-in); 6 b:ingress=deny(end-of-tier)',
  },
  {
    name: 'an address of a pod is the pod',
    in: '10.0.0.1 10.0.0.2 tcp/80',
    out: 'allow; 4 a:egress=allow(pro/kns.shop) b:ingress=allow(np/shop/db-in)',
  },
  {
    name: 'an address that nobody has',
    in: '203.0.113.9 shop/db tcp/80',
    out: 'allow; 4 b:ingress=allow(np/shop/db-in)',
  },
  {
    name: 'two strangers',
    in: '203.0.113.9 203.0.113.10 tcp/80',
    out: 'allow; 4 :ingress=allow(not-governed)',
  },
  {
    name: 'from the host: that of the pod',
    in: 'host shop/old tcp/80',
    out: 'allow; 4 a:ingress=allow(host-to-workload)',
  },
  {
    name: 'an address of the host is the host',
    in: '192.168.0.2 shop/db tcp/81',
    out: 'allow; 4 b:ingress=allow(host-to-workload)',
  },
  {
    name: 'an address of another host is a stranger',
    in: '192.168.0.2 shop/old tcp/81',
    out: 'allow; 4 a:ingress=allow(pro/kns.shop)',
  },
  {
    name: 'to the host',
    in: 'shop/db host tcp/22',
    out:
      'allow; 4 b:egress=allow(pro/kns.shop) b:ingress=allow(endpoint-to-host); ' +
      '6 b:egress=allow(pro/kns.shop) b:ingress=allow(endpoint-to-host)',
  },
  {
    name: 'to a host without known address',
    in: 'shop/old host tcp/22',
    out: 'no address of host a is known: add its Node object to the manifests, say which node with --node, or ask on the machine itself with --live',
  },
  {
    name: 'one family in common',
    in: 'pay/six shop/db icmp',
    out: 'deny; 6 a:egress=allow(pro/kns.pay) b:ingress=deny(end-of-tier)',
  },
  {
    name: 'no family in common',
    in: 'pay/six shop/old tcp/80',
    out: 'no packet can go: pay/six has only IPv6, shop/old has only IPv4',
  },
  {
    name: 'a protocol of the other family',
    in: 'pay/six shop/db icmp/8',
    out: 'no packet can go: pay/six has only IPv6, shop/db has IPv4 and IPv6, and the protocol is one of IPv4',
  },
  {
    name: 'a near name',
    in: 'shop/wbe shop/db tcp/80',
    out: 'there is no pod shop/wbe; did you mean shop/web?',
  },
  {
    name: 'a name like no other',
    in: 'shop/web shop/something-else tcp/80',
    out: 'there is no pod shop/something-else; there is: shop/db, shop/done, shop/old, shop/web',
  },
  {
    name: 'a Service',
    in: 'shop/web shop/front tcp/80',
    out: 'shop/front is a Service: name one of its pods, for policy judges packets after their address is replaced',
  },
  {
    name: 'a pod that is over',
    in: 'shop/done shop/db tcp/80',
    out: "shop/done has no network of its own: it is finished, not scheduled, without an address yet, or shares its node's network (then ask for host)",
  },
];

for (const row of ROWS) {
  test(row.name, (t) => {
    t.is(ask(row.in, scene(row.node)), row.out);
  });
}

test('no pods at all', (t) => {
  t.is(
    ask('shop/web shop/db tcp/80', scene(undefined, [DB_IN])),
    'there is no pod shop/web: the manifests have no pods at all',
  );
});

test('an address that another pod took over: its source is spoofed, its packets go there', (t) => {
  const taker = workload('pay/taker', ['10.0.0.3'], { node: 'b', createdMs: 5 });
  const at = scene(undefined, [...ALL, taker]);
  t.is(ask('shop/old shop/web tcp/80', at), 'deny; 4 a:egress=deny(spoofed-source)');
  t.is(ask('203.0.113.9 shop/old tcp/80', at), 'allow; 4 b:ingress=allow(pro/kns.pay)');
});

test('nodes that nothing is said of', (t) => {
  t.is(unknownNode(scene('a')), undefined);
  t.is(unknownNode(scene()), undefined);
  t.is(unknownNode(scene('far-away')), 'no manifest knows a node far-away; there is: a, b');
});

test('of two objects that are one, the lowest key counts', (t) => {
  const store = {
    resources: (): [string, Resource][] => [
      ['b', { ...OLD, node: 'late' }],
      ['a', { ...OLD, node: 'early' }],
    ],
    locate: () => undefined,
  };
  const { resources } = sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: undefined });
  t.deepEqual(
    resources.map((resource) => 'node' in resource && resource.node),
    ['early'],
  );
});

test('the printed walk: tiers, policies that are empty or not reached, rules with places', (t) => {
  const question = readQuestion('shop/web', 'shop/db', 'tcp/80');
  if ('wrong' in question) return t.fail(question.wrong);
  const never = policy('never', { order: undefined, types: ['ingress'], ingress: [rule('deny')] });
  const at = scene(undefined, [...ALL.filter((each) => each !== SIX), { ...never, name: 'zz' }]);
  const answered = answer(at, question.value);
  if ('wrong' in answered) return t.fail(answered.wrong);
  return t.deepEqual(printAnswer(at, answered.value), WALK.trim().split('\n'));
});

const WALK = `
shop/web -> shop/db tcp/80: DENIED for one IP family only

IPv4 10.0.0.1 -> 10.0.0.2: allowed
  egress of shop/web, node a: allowed
    by Profile kns.shop egress[0] (no policy decides), Profile//kns.shop.yaml:3
    tier first
      np/shop/web-out
        [0] pass: matches (np/shop/web-out.yaml:3)
      passes on
    profiles
      pro/kns.shop
        [0] allow: matches (Profile//kns.shop.yaml:3)
  ingress of shop/db, node b: allowed
    by NetworkPolicy shop/db-in ingress[1] (tier default), np/shop/db-in.yaml:3
    tier default
      np/shop/empty: no rules for this direction
      np/shop/db-in
        [0] log: matches (np/shop/db-in.yaml:3)
        [1] allow: matches (np/shop/db-in.yaml:3)
      gnp/zz: not reached

IPv6 fd00::1 -> fd00::2: DENIED
  egress of shop/web, node a: allowed
    by Profile kns.shop egress[0] (no policy decides), Profile//kns.shop.yaml:3
    tier first
      np/shop/web-out
        [0] pass: matches (np/shop/web-out.yaml:3)
      passes on
    profiles
      pro/kns.shop
        [0] allow: matches (Profile//kns.shop.yaml:3)
  ingress of shop/db, node b: DENIED
    by GlobalNetworkPolicy zz ingress[0] (tier default), gnp/zz.yaml:3
    tier default
      np/shop/empty: no rules for this direction
      np/shop/db-in
        [0] log: matches (np/shop/db-in.yaml:3)
        [1] allow: no match: ipVersion (np/shop/db-in.yaml:3)
      gnp/zz
        [0] deny: matches (gnp/zz.yaml:3)
`;
