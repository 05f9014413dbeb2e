/** Questions about hosts: by which interface, on which node, before and after address translation. */
import test from 'ava';
import { answer } from '../../../../agent/explain/answer.ts';
import { printAnswer } from '../../../../agent/explain/print.ts';
import { readQuestion } from '../../../../agent/explain/question.ts';
import { sceneOf } from '../../../../agent/explain/scene.ts';
import type { Scene, SceneOptions } from '../../../../agent/explain/scene.ts';
import type { Resource } from '../../../../compiler/model/cluster.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../../../compiler/oracle/world.ts';
import { keyOf } from '../../../support/keys.ts';
import {
  address,
  entity,
  equals,
  hostEndpointOf,
  hostInterface,
  namespace,
  policy,
  port,
  rule,
  TCP,
  workload,
} from '../../../support/world.ts';

const WEB = workload('shop/web', ['10.0.0.1'], { node: 'a' });
const FAR = workload('shop/far', ['10.0.0.2'], { node: 'b' });
const DEFAULT_ALLOW = ['projectcalico-default-allow'];
const ETH0 = hostEndpointOf('eth0', {
  node: 'a',
  interfaceName: 'eth0',
  labels: { role: 'strict' },
  expectedIPs: [address('192.0.2.1')],
});
const ETH1 = hostEndpointOf('eth1', {
  node: 'a',
  interfaceName: 'eth1',
  expectedIPs: [address('198.51.100.1')],
  profiles: DEFAULT_ALLOW,
});
const BY_ADDRESS = hostEndpointOf('by-address', { node: 'b', expectedIPs: [address('192.0.2.2')] });
const WILD = hostEndpointOf('wild', { node: 'a', interfaceName: '*', profiles: DEFAULT_ALLOW });
const NODE_A: Resource = {
  kind: 'Node',
  name: 'a',
  labels: {},
  addresses: [address('192.168.0.1')],
};
const ON_30080 = { protocol: TCP, destination: entity({ ports: [port(30_080)] }) };
const NODE_PORTS = policy('node-ports', {
  types: ['ingress'],
  preDnat: true,
  applyOnForward: true,
  ingress: [rule('deny', ON_30080)],
});
const FORWARD = policy('fwd', {
  selector: equals('role', 'strict'),
  applyOnForward: true,
  types: ['ingress'],
  ingress: [rule('deny', ON_30080), rule('pass', {}, 1)],
});

const PODS = [namespace('shop'), WEB, FAR];

function scene(resources: readonly Resource[], options: Partial<SceneOptions> = {}): Scene {
  const store = {
    resources: () => resources.map((resource): [string, Resource] => [keyOf(resource), resource]),
    locate: () => undefined,
  };
  return sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: undefined, ...options });
}

/** `deny: a:input@eth0=deny(no-profile)`, or what is wrong. */
function ask(text: string, at: Scene): string {
  const [from = '', to = '', service = '', via] = text.split(' ');
  const question = readQuestion(from, to, service, via);
  if ('wrong' in question) throw new TypeError(question.wrong);
  const answered = answer(at, question.value);
  if ('wrong' in answered) return answered.wrong;
  const { verdict, flows } = answered.value;
  const stages = flows.flatMap((flow) => flow.stages);
  const shown = stages.map(({ node, stage, endpoint = '', decision }) => {
    const { decisive } = decision;
    const why = decisive.kind === 'rule' ? decisive.rule.policy : decisive.reason;
    return `${node}:${stage}@${endpoint}=${decision.verdict}(${why})`;
  });
  return `${verdict}: ${shown.join(' ')}`;
}

const LIVE = [
  hostInterface('lo', ['127.0.0.1']),
  hostInterface('eth0', ['172.16.0.1']),
  hostInterface('eth7', ['172.17.0.1']),
  { ...hostInterface('cali1'), isWorkload: true },
];

const ROWS = [
  {
    name: 'to an address of the host: the interface that has it',
    in: '203.0.113.9 192.0.2.1 tcp/80',
    of: [ETH0, ETH1],
    out: 'deny: a:input@eth0=deny(no-profile)',
  },
  {
    name: 'to the host: the only node',
    in: '203.0.113.9 host tcp/80',
    of: [ETH0],
    out: 'deny: a:input@eth0=deny(no-profile)',
  },
  {
    name: 'over an interface that is named',
    in: '203.0.113.9@eth1 192.0.2.1 tcp/80',
    of: [ETH0, ETH1],
    out: 'allow: a:input@eth1=allow(pro/projectcalico-default-allow)',
  },
  {
    name: 'to the host by its interface',
    in: '203.0.113.9 host@eth1 tcp/80',
    of: [ETH0, ETH1],
    out: 'allow: a:input@eth1=allow(pro/projectcalico-default-allow)',
  },
  {
    name: 'from the host by its interface',
    in: 'host@eth0 203.0.113.9 tcp/80',
    of: [ETH0, ETH1],
    out: 'deny: a:output@eth0=deny(no-profile)',
  },
  {
    name: 'from an address of the host',
    in: '198.51.100.1 203.0.113.9 tcp/80',
    of: [ETH0, ETH1],
    out: 'allow: a:output@eth1=allow(pro/projectcalico-default-allow)',
  },
  {
    name: 'an interface that no manifest names, and no wildcard',
    in: '203.0.113.9@eth9 192.0.2.1 tcp/80',
    of: [ETH0],
    out: 'allow: a:input@=allow(no-host-endpoint)',
  },
  {
    name: 'an address that no interface is known to have: a difference is said',
    in: '203.0.113.9 192.168.0.1 tcp/80',
    of: [ETH0, ETH1, NODE_A],
    out: 'it depends on the interface of node a: in by eth0 denied, in by eth1 allowed; say one, as 203.0.113.9@eth0',
  },
  {
    name: 'and without one it is none',
    in: '203.0.113.9 192.168.0.1 tcp/22',
    of: [ETH0, { ...ETH1, profiles: [] }, NODE_A],
    out: 'allow: a:input@eth0=allow(failsafe)',
  },
  {
    name: 'a wildcard stands for all others',
    in: '203.0.113.9 192.168.0.1 tcp/80',
    of: [WILD, NODE_A],
    out: 'allow: a:input@wild=allow(pro/projectcalico-default-allow)',
  },
  {
    name: 'from a host without known address, over an interface that is judged',
    in: 'host 203.0.113.9 tcp/80',
    of: [WILD],
    out: 'no address of host a is known: add its Node object to the manifests, say which node with --node, or ask on the machine itself with --live',
  },
  {
    name: 'from such a host to its own pod, which nobody judges',
    in: 'host shop/web tcp/80',
    of: [...PODS, WILD],
    out: 'allow: a:to-workload@shop/web=allow(host-to-workload)',
  },
  {
    name: 'found by address',
    in: '203.0.113.9 192.0.2.2 tcp/80',
    of: [BY_ADDRESS],
    out: 'deny: b:input@by-address=deny(no-profile)',
  },
  {
    name: 'failsafe',
    in: '203.0.113.9 192.0.2.1 tcp/22',
    of: [ETH0],
    out: 'allow: a:input@eth0=allow(failsafe)',
  },
  {
    name: 'from host to host: both judge',
    in: '192.0.2.1 192.0.2.2 tcp/6443',
    of: [ETH0, BY_ADDRESS],
    out: 'allow: a:output@eth0=allow(failsafe) b:input@by-address=allow(failsafe)',
  },
  {
    name: 'the interface of the other host is no interface of this one',
    in: '192.0.2.1 192.0.2.2@eth5 tcp/6443',
    of: [ETH0, BY_ADDRESS],
    out: 'allow: a:output@eth0=allow(failsafe)',
  },
  {
    name: 'the host to itself: nothing is done at lo',
    in: '192.0.2.1 192.0.2.1 tcp/80',
    of: [ETH0],
    out: 'allow: a:output@=allow(no-host-endpoint)',
  },
  {
    name: 'forwarded to a pod',
    in: '203.0.113.9@eth0 shop/web tcp/80',
    of: [...PODS, ETH0, ETH1],
    out: 'allow: a:forward-in@eth0=allow(no-forward-policy) a:to-workload@shop/web=allow(pro/kns.shop)',
  },
  {
    name: 'a node port, before and after',
    in: '203.0.113.9@eth0 shop/web tcp/80 192.0.2.1:30080',
    of: [...PODS, ETH0, NODE_PORTS],
    out: 'deny: a:pre-dnat@eth0=deny(gnp/node-ports)',
  },
  {
    name: 'a node port: by the interface that has the address that was asked for',
    in: '203.0.113.9 shop/web tcp/80 198.51.100.1:30080',
    of: [...PODS, ETH0, ETH1, { ...NODE_PORTS, selector: equals('role', 'strict') }],
    out: 'allow: a:forward-in@eth1=allow(no-forward-policy) a:to-workload@shop/web=allow(pro/kns.shop)',
  },
  {
    name: 'a node port of another node than the pod’s',
    in: '203.0.113.9 shop/far tcp/80 192.0.2.1:30080',
    of: [...PODS, ETH0, BY_ADDRESS, FORWARD],
    out:
      'allow: a:forward-in@eth0=allow(undecided) a:forward-out@eth0=allow(undecided) ' +
      'b:forward-in@by-address=allow(no-forward-policy) b:to-workload@shop/far=allow(pro/kns.shop)',
  },
  {
    name: 'an untracked Allow prevents the translation',
    in: '203.0.113.9@eth0 shop/web tcp/80 192.0.2.1:30080',
    of: [
      ...PODS,
      ETH0,
      policy('raw', { doNotTrack: true, applyOnForward: true, ingress: [rule('allow')] }),
    ],
    out: 'allow: a:untracked-in@eth0=allow(gnp/raw) a:input@eth0=allow(accepted-earlier)',
  },
  {
    name: 'through a node: by the interfaces that are named',
    in: '203.0.113.9@eth0 198.51.100.7@eth1 tcp/30080',
    of: [ETH0, ETH1, FORWARD],
    out: 'deny: a:forward-in@eth0=deny(gnp/fwd)',
  },
  {
    name: 'live: addresses and interfaces of the machine',
    in: '203.0.113.9 172.17.0.1 tcp/80',
    of: [ETH0, WILD],
    live: LIVE,
    out: 'allow: a:input@wild=allow(pro/projectcalico-default-allow)',
  },
  {
    name: 'live: the host has addresses that no manifest says',
    in: '203.0.113.9 host@eth0 tcp/80',
    of: [ETH0, WILD],
    live: LIVE,
    out: 'deny: a:input@eth0=deny(no-profile)',
  },
  {
    name: 'live: an interface that the machine has not',
    in: '203.0.113.9 host@eth9 tcp/80',
    of: [ETH0, WILD],
    live: LIVE,
    out: 'this machine has no interface eth9 that is up; there is: lo, eth0, eth7, cali1',
  },
  {
    name: 'live: there are no other interfaces',
    in: '203.0.113.9 shop/web tcp/80',
    of: [...PODS, ETH0],
    live: LIVE,
    out: 'allow: a:forward-in@eth0=allow(no-forward-policy) a:to-workload@shop/web=allow(pro/kns.shop)',
  },
] as const;

for (const row of ROWS) {
  test(row.name, (t) => {
    const live = 'live' in row ? { node: 'a', interfaces: row.live } : undefined;
    t.is(ask(row.in, scene(row.of, live && { node: 'a', live })), row.out);
  });
}

test('the printed stages', (t) => {
  const question = readQuestion('203.0.113.9@eth0', 'shop/web', 'tcp/80', '192.0.2.1:30081');
  if ('wrong' in question) return t.fail(question.wrong);
  const at = scene([...PODS, ETH0, NODE_PORTS]);
  const answered = answer(at, question.value);
  if ('wrong' in answered) return t.fail(answered.wrong);
  return t.deepEqual(printAnswer(at, answered.value), PRINTED.trim().split('\n'));
});

const PRINTED = `
203.0.113.9@eth0 -> shop/web tcp/80 via 192.0.2.1:30081: allowed

IPv4 203.0.113.9 -> 10.0.0.1 (sent to 192.0.2.1): allowed
  pre-DNAT ingress of host endpoint eth0, node a: allowed
    by undecided: no rule decides, the packet goes on
    tier default
      gnp/node-ports
        [0] deny: no match: destination.ports (built in)
      passes on
  forward ingress of host endpoint eth0, node a: allowed
    by no-forward-policy: no policy that applies on forward selects the host endpoint
  ingress of shop/web, node a: allowed
    by Profile kns.shop ingress[0] (no policy decides), built in
    profiles
      pro/kns.shop
        [0] allow: matches (built in)
`;
