/** Which records somebody wants to see. Comes in: words of a command line or of a request. Goes out: a predicate, or what is wrong. */
import { toAddress, toCidr, cidrContains } from '../../compiler/model/ip.ts';
import { POLICY_SHORT_NAMES } from '../../compiler/model/policy.ts';
import { PROTOCOL_NAMES, protocolNumber } from '../explain/protocols.ts';
import type { FlowRecord, RecordEnd, RecordPolicy } from './record.ts';

/** As typed; every one that is there has to hold. */
export interface FlowFilter {
  /** `NS/POD` or a name, at either end; a host endpoint that judged; `host`. */
  readonly pod?: string | undefined;
  /** `NS/POD`, name, address or prefix. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** At either end. */
  readonly namespace?: string | undefined;
  readonly verdict?: string | undefined;
  /** Name, `NS/NAME` or id such as `np/NS/NAME`; implicit denies by who selected. */
  readonly policy?: string | undefined;
  /** Destination port. */
  readonly port?: string | undefined;
  readonly proto?: string | undefined;
}

export const FILTER_NAMES = [
  'pod',
  'from',
  'to',
  'namespace',
  'verdict',
  'policy',
  'port',
  'proto',
] as const satisfies readonly (keyof FlowFilter)[];

const VERDICTS = ['allow', 'deny', 'log', 'unknown'];

/** What can be seen to be wrong without knowing which names exist. */
interface Form {
  readonly form: string;
  isRight(word: string): boolean;
}

const NAME: Form = { form: 'a name', isRight: () => true };

/** Namespaces have neither dots nor colons. */
const END: Form = {
  form: 'NAMESPACE/POD, a name, an address or a prefix',
  isRight: (word) => !/[.:].*\/|:/.test(word) || toCidr(word) !== undefined,
};

const FORMS: Readonly<Record<(typeof FILTER_NAMES)[number], Form>> = {
  pod: NAME,
  from: END,
  to: END,
  namespace: NAME,
  verdict: { form: VERDICTS.join(', '), isRight: (word) => VERDICTS.includes(word) },
  policy: NAME,
  port: {
    form: 'a number from 0 to 65535',
    isRight: (word) => /^\d{1,5}$/.test(word) && Number(word) <= 0xffff,
  },
  proto: {
    form: `${[...PROTOCOL_NAMES.values()].join(', ')}, or a number`,
    isRight: (word) => protocolNumber(word.toLowerCase()) !== undefined,
  },
};

type Test = (record: FlowRecord) => boolean;

/** `wrong` says which word and what would be right. */
export function readFilter(
  filter: FlowFilter,
): { readonly test: Test } | { readonly wrong: string } {
  for (const name of FILTER_NAMES) {
    const word = filter[name];
    if (word === undefined || (word !== '' && FORMS[name].isRight(word))) continue;
    return { wrong: `${name} ${JSON.stringify(word)}: write ${FORMS[name].form}` };
  }
  const tests = FILTER_NAMES.flatMap((name) => {
    const word = filter[name];
    return word === undefined ? [] : [testOf(name, word)];
  });
  return { test: (record) => tests.every((test) => test(record)) };
}

function testOf(name: (typeof FILTER_NAMES)[number], word: string): Test {
  switch (name) {
    case 'pod':
      return (record) => isAnyEnd(record, word);
    case 'from':
      return ({ src }) => isEnd(src, word);
    case 'to':
      return ({ dst }) => isEnd(dst, word);
    case 'namespace':
      return ({ src, dst }) => src.namespace === word || dst.namespace === word;
    case 'verdict':
      return ({ verdict }) => verdict === word;
    case 'policy':
      return (record) => hasPolicy(record, word);
    case 'port':
      return ({ dst }) => dst.port === Number(word);
    case 'proto':
      return ({ proto = '' }) => protocolNumber(proto) === protocolNumber(word.toLowerCase());
  }
}

/** `host`: the node itself, as an end or by one of its host endpoints. */
function isAnyEnd({ src, dst, hook = '', hostEndpoint }: FlowRecord, word: string): boolean {
  const isOfHost = hostEndpoint !== undefined || HOST_HOOKS.includes(hook);
  return (
    isNamed(src, word) ||
    isNamed(dst, word) ||
    hostEndpoint?.name === word ||
    (word === 'host' && isOfHost)
  );
}

/** Where packets to and of the host itself pass. */
const HOST_HOOKS: readonly string[] = ['input', 'output', 'postrouting'];

function isNamed({ namespace, name }: RecordEnd, word: string): boolean {
  return name !== undefined && (name === word || `${namespace ?? ''}/${name}` === word);
}

function isEnd(end: RecordEnd, word: string): boolean {
  if (isNamed(end, word)) return true;
  const cidr = toCidr(word);
  const address = end.ip === undefined ? undefined : toAddress(end.ip);
  return cidr !== undefined && address !== undefined && cidrContains(cidr, address);
}

function hasPolicy({ policy, implicit }: FlowRecord, word: string): boolean {
  if (policy !== undefined && namesOf(policy).includes(word)) return true;
  const isSelector = (id: string): boolean => {
    const [, ...rest] = id.split('/');
    return [id, rest.join('/'), rest.at(-1)].includes(word);
  };
  return implicit?.selectedBy.some(isSelector) ?? false;
}

function namesOf({ kind, namespace, name }: RecordPolicy): string[] {
  const full = namespace === undefined ? name : `${namespace}/${name}`;
  return [name, full, `${kind === 'Profile' ? 'pro' : POLICY_SHORT_NAMES[kind]}/${full}`];
}
