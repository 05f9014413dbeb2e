/**
 * The words of a question: who, to whom, over what. Text in; values out, or what is wrong and what would be right. Refuses to know which
 * names exist.
 */
import { toAddress } from '../../compiler/model/ip.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { ConnectionState } from '../../compiler/oracle/stage.ts';
import { suggest } from '../../compiler/model/parse/nearest.ts';

export type EndWord =
  | { readonly kind: 'workload'; readonly id: string }
  | {
      readonly kind: 'address';
      readonly address: Address;
      readonly interface: string | undefined;
      /** Workload that uses the address, whoever owns it; a source only. */
      readonly sender?: string | undefined;
      /** Behind an interface of workloads that is none of a known one. */
      readonly isStray?: boolean;
    }
  /** The node itself. */
  | { readonly kind: 'host'; readonly interface: string | undefined };

/** What a destination was before it was replaced. */
export interface Via {
  readonly address: Address;
  /** `undefined` = the same. */
  readonly port: number | undefined;
  /** Where a packet of the host was routed to at first. */
  readonly interface: string | undefined;
}

/** What a packet carries, by family; a family that has no such packet is left out. */
export type Service = Readonly<Partial<Record<Family, ServiceHeader>>>;

export interface ServiceHeader {
  /** IANA number. */
  readonly protocol: number;
  /** `undefined` for protocols without ports, and where nobody says it: then any that is not well known. */
  readonly sport?: number | undefined;
  /** `undefined` for protocols without ports. */
  readonly dport: number | undefined;
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
}

export interface Question {
  readonly from: EndWord;
  readonly to: EndWord;
  readonly service: Service;
  readonly via: Via | undefined;
  /** To connection tracking; default `new`. */
  readonly state?: ConnectionState | undefined;
  /** As asked: `shop/web -> shop/db tcp/5432`. */
  readonly text: string;
}

/** A value, or a sentence on what is wrong and what would be right. */
export type Read<T> = { readonly value: T } | { readonly wrong: string };

const END_FORMS =
  'NAMESPACE/POD, an IPv4 or IPv6 address, or host; the last two also with the interface of the host, as 203.0.113.9@eth1';
const VIA_FORMS = 'ADDRESS, ADDRESS:PORT or [IPV6]:PORT';
export const SERVICE_FORMS =
  'tcp/80, udp/53, sctp/1, udplite/7, icmp (an echo request), icmp/TYPE/CODE, icmpv6/TYPE/CODE, or a protocol number like 47';

/** `via` is what the destination was before a service proxy replaced it. */
export function readQuestion(
  from: string,
  to: string,
  service: string,
  via?: string,
): Read<Question> {
  const [source, destination, what] = [readEnd(from), readEnd(to), readService(service)];
  const before: Read<Via | undefined> = via === undefined ? { value: undefined } : readVia(via);
  if ('wrong' in source || 'wrong' in destination || 'wrong' in what || 'wrong' in before) {
    const parts = [source, destination, what, before];
    return { wrong: parts.flatMap((part) => ('wrong' in part ? [part.wrong] : [])).join('; ') };
  }
  const text = `${from} -> ${to} ${service}${via === undefined ? '' : ` via ${via}`}`;
  const families = [source.value, destination.value, before.value].flatMap((end) =>
    end !== undefined && 'address' in end ? [end.address.family] : [],
  );
  if (new Set(families).size > 1) return { wrong: `${text}: of different IP families` };
  return {
    value: {
      from: source.value,
      to: destination.value,
      service: what.value,
      via: before.value,
      text,
    },
  };
}

/** What the kernel takes as a name. */
const INTERFACE = /^[^\s/@]{1,15}$/;

function readEnd(text: string): Read<EndWord> {
  const [word = '', name, ...rest] = text.split('@');
  const wrong = { wrong: `${JSON.stringify(text)} is no end of a connection: say ${END_FORMS}` };
  if (rest.length > 0 || (name !== undefined && !INTERFACE.test(name))) return wrong;
  if (word === 'host') return { value: { kind: 'host', interface: name } };
  const address = toAddress(word);
  if (address !== undefined) return { value: { kind: 'address', address, interface: name } };
  const parts = word.split('/');
  const isPod =
    parts.length === 2 && parts.every((part) => /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(part));
  return isPod && name === undefined ? { value: { kind: 'workload', id: text } } : wrong;
}

/** `--via`. */
export function readVia(text: string): Read<Via> {
  const wrong = { wrong: `via: ${JSON.stringify(text)} is no destination: say ${VIA_FORMS}` };
  const [word = '', name, ...rest] = text.split('@');
  const whole = toAddress(word);
  const [, host = '', digits = ''] =
    /^\[([^\]]+)\]:(\d{1,5})$/.exec(word) ?? /^([^:]+):(\d{1,5})$/.exec(word) ?? [];
  const address = whole ?? toAddress(host);
  const port = digits === '' ? undefined : Number(digits);
  const isWrong =
    rest.length > 0 ||
    (name !== undefined && !INTERFACE.test(name)) ||
    (port !== undefined && port > 65_535);
  return address === undefined || isWrong ? wrong : { value: { address, port, interface: name } };
}

const WITH_PORTS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132, udplite: 136 };

/** Protocol and type of an echo request. */
const ICMP: Readonly<Record<Family, { readonly protocol: number; readonly echo: number }>> = {
  4: { protocol: 1, echo: 8 },
  6: { protocol: 58, echo: 128 },
};

const WORDS = [...Object.keys(WITH_PORTS), 'icmp', 'icmpv6'];

function readService(text: string): Read<Service> {
  const [word = '', ...rest] = text.toLowerCase().split('/');
  const numbers = rest.map((part) => (/^\d{1,5}$/.test(part) ? Number(part) : Number.NaN));
  const bad = (why: string): Read<Service> => {
    return { wrong: `${JSON.stringify(text)} is no PROTO/PORT: ${why}; say ${SERVICE_FORMS}` };
  };
  if (word === 'icmp' || word === 'icmpv6')
    return readIcmp(word, numbers) ?? bad('type and code are 0 to 255');
  const transport = WITH_PORTS[word];
  const [port] = numbers;
  if (transport !== undefined) {
    if (port === undefined) return bad('the port is missing');
    if (rest.length > 1 || !(port <= 65_535)) return bad('a port is a number from 0 to 65535');
    return both({ protocol: transport, dport: port, icmpType: undefined, icmpCode: undefined });
  }
  const protocol = /^\d{1,3}$/.test(word) ? Number(word) : 0;
  if (protocol < 1 || protocol > 255) return bad(`unknown protocol${suggest(word, WORDS)}`);
  const known = [...Object.entries(WITH_PORTS), ['icmp', 1], ['icmpv6', 58]] as const;
  const name = known.find(([, number]) => number === protocol)?.[0];
  if (name !== undefined) return bad(`protocol ${protocol} is said as ${name}`);
  if (rest.length > 0) return bad(`protocol ${protocol} has no ports here`);
  return both({ protocol, dport: undefined, icmpType: undefined, icmpCode: undefined });
}

function both(header: ServiceHeader): Read<Service> {
  return { value: { 4: header, 6: header } };
}

/** Types mean different things in the two families, so a type is of one family only. */
function readIcmp(word: 'icmp' | 'icmpv6', numbers: readonly number[]): Read<Service> | undefined {
  if (numbers.length > 2 || !numbers.every((number) => number <= 255)) return undefined;
  const [type, code = 0] = numbers;
  const header = (family: Family): ServiceHeader => {
    const { protocol, echo } = ICMP[family];
    return { protocol, dport: undefined, icmpType: type ?? echo, icmpCode: code };
  };
  if (word === 'icmpv6') return { value: { 6: header(6) } };
  return { value: type === undefined ? { 4: header(4), 6: header(6) } : { 4: header(4) } };
}
