import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { otlpLogs } from '../../../../agent/flowlog/otlp.ts';
import { openOtlpOutput } from '../../../../agent/flowlog/otlp-output.ts';
import type { FlowOutput } from '../../../../agent/flowlog/output.ts';
import { DENIED, numbered } from '../../../support/flow-records.ts';

type Field = string | { readonly repeated: string };

/**
 * Fields of the messages that we send, as JSON has them, with their protobuf types.
 * Source: opentelemetry-proto v1.5.0: collector/logs/v1/logs_service.proto, logs/v1/logs.proto, common/v1/common.proto,
 * resource/v1/resource.proto.
 */
const MESSAGES: Readonly<Record<string, Readonly<Record<string, Field>>>> = {
  ExportLogsServiceRequest: { resourceLogs: { repeated: 'ResourceLogs' } },
  ResourceLogs: { resource: 'Resource', scopeLogs: { repeated: 'ScopeLogs' }, schemaUrl: 'string' },
  Resource: { attributes: { repeated: 'KeyValue' }, droppedAttributesCount: 'uint32' },
  ScopeLogs: {
    scope: 'InstrumentationScope',
    logRecords: { repeated: 'LogRecord' },
    schemaUrl: 'string',
  },
  InstrumentationScope: {
    name: 'string',
    version: 'string',
    attributes: { repeated: 'KeyValue' },
    droppedAttributesCount: 'uint32',
  },
  LogRecord: {
    timeUnixNano: 'fixed64',
    observedTimeUnixNano: 'fixed64',
    severityNumber: 'enum',
    severityText: 'string',
    body: 'AnyValue',
    attributes: { repeated: 'KeyValue' },
    droppedAttributesCount: 'uint32',
    flags: 'fixed32',
    traceId: 'bytes',
    spanId: 'bytes',
    eventName: 'string',
  },
  KeyValue: { key: 'string', value: 'AnyValue' },
  AnyValue: {
    stringValue: 'string',
    boolValue: 'bool',
    intValue: 'int64',
    doubleValue: 'double',
    arrayValue: 'ArrayValue',
    kvlistValue: 'KeyValueList',
    bytesValue: 'bytes',
  },
  ArrayValue: { values: { repeated: 'AnyValue' } },
  KeyValueList: { values: { repeated: 'KeyValue' } },
};

/** How the JSON form of OTLP writes them: 64-bit integers as decimal text, enums as numbers. */
const SCALARS: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  bool: (value) => typeof value === 'boolean',
  int64: (value) => typeof value === 'string' && /^-?\d+$/.test(value),
  fixed64: (value) => typeof value === 'string' && /^\d+$/.test(value),
  uint32: (value) => Number.isInteger(value) && Number(value) >= 0,
  fixed32: (value) => Number.isInteger(value) && Number(value) >= 0,
  enum: (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 24,
  double: (value) => typeof value === 'number',
};

function protoErrors(type: string, value: unknown, at = type): string[] {
  const scalar = SCALARS[type];
  if (scalar !== undefined) return scalar(value) ? [] : [`${at}: no ${type}`];
  const fields = MESSAGES[type];
  if (fields === undefined || typeof value !== 'object' || value === null)
    return [`${at}: no ${type}`];
  return Object.entries(value).flatMap(([name, each]) => {
    const field = fields[name];
    const place = `${at}.${name}`;
    if (field === undefined) return [`${place}: no such field`];
    if (typeof field === 'string') return protoErrors(field, each, place);
    if (!Array.isArray(each)) return [`${place}: no list`];
    return each.flatMap((item) => protoErrors(field.repeated, item, place));
  });
}

const SOURCE = { node: 'n1', version: '1.2.3' };

const IMPLICIT = {
  ...DENIED,
  policy: undefined,
  implicit: { reason: 'end-of-tier', tier: 'default', selectedBy: ['np/a/b'] },
  staged: [{ policy: 'snp/a/c', tier: 'default', action: 'deny' }],
} as unknown as typeof DENIED;

test('the request is an ExportLogsServiceRequest in the JSON form of OTLP', (t) => {
  const request: unknown = JSON.parse(JSON.stringify(otlpLogs([DENIED, IMPLICIT], SOURCE)));
  t.deepEqual(protoErrors('ExportLogsServiceRequest', request), []);
});

test('one record', (t) => {
  const request = otlpLogs([DENIED], SOURCE) as {
    resourceLogs: { scopeLogs: { logRecords: Record<string, unknown>[] }[] }[];
  };
  const [record] = request.resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [];
  t.like(record, {
    timeUnixNano: '1767323045500000000',
    observedTimeUnixNano: '1767323046000000000',
    severityNumber: 13,
  });
  const attributes = record?.['attributes'] as { key: string; value: object }[];
  const find = (key: string): object | undefined =>
    attributes.find((attribute) => attribute.key === key)?.value;
  t.deepEqual(find('source.address'), { stringValue: '10.0.0.1' });
  t.deepEqual(find('destination.port'), { intValue: '5432' });
  t.deepEqual(find('picket.policy.rule'), { intValue: '0' });
  t.is(new Set(attributes.map(({ key }) => key)).size, attributes.length);
  t.is(find('picket.implicit.reason'), undefined);
});

test('the check of the form finds what is wrong', (t) => {
  t.not(protoErrors('LogRecord', { timeUnixNano: 5 }).length, 0);
  t.not(protoErrors('LogRecord', { time_unix_nano: '5' }).length, 0);
  t.not(protoErrors('AnyValue', { intValue: 5 }).length, 0);
});

interface Collector {
  readonly endpoint: string;
  readonly server: Server;
  /** Records of each accepted or refused request. */
  readonly requests: number[];
}

type Answer = (response: ServerResponse, number: number) => void;

async function collector(t: ExecutionContext, answer: Answer): Promise<Collector> {
  const requests: number[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      t.is(request.url, '/v1/logs');
      t.is(request.headers['content-type'], 'application/json');
      const body: unknown = JSON.parse(text);
      t.deepEqual(protoErrors('ExportLogsServiceRequest', body), []);
      requests.push(text.split('"timeUnixNano"').length - 1);
      answer(response, requests.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${port}`, server, requests };
}

function open(endpoint: string, told: string[] = []): FlowOutput {
  const trouble = (message: string): void => void told.push(message);
  return openOtlpOutput({ endpoint, ...SOURCE, trouble, backoffMs: [5] });
}

const settled = async (output: FlowOutput, count: number): Promise<void> => {
  const done = (): boolean => output.counts.written + output.counts.lost >= count;
  for (let tries = 0; tries < 1_000 && !done(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

const ANSWERS: readonly {
  name: string;
  answer: Answer;
  requests: number[];
  counts: { written: number; lost: number };
}[] = [
  {
    name: 'accepted',
    answer: (response) => response.end('{}'),
    requests: [3],
    counts: { written: 3, lost: 0 },
  },
  {
    name: 'unavailable twice, then accepted',
    answer: (response, number) => response.writeHead(number < 3 ? 503 : 200).end(),
    requests: [3, 3, 3],
    counts: { written: 3, lost: 0 },
  },
  {
    name: 'a connection that breaks, then accepted',
    answer: (response, number) => (number < 2 ? response.destroy() : response.end('{}')),
    requests: [3, 3],
    counts: { written: 3, lost: 0 },
  },
  {
    name: 'refused for good',
    answer: (response) => response.writeHead(400).end('no'),
    requests: [3],
    counts: { written: 0, lost: 3 },
  },
  {
    name: 'accepted in part',
    answer: (response) =>
      response.end('{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"x"}}'),
    requests: [3],
    counts: { written: 1, lost: 2 },
  },
  {
    name: 'an answer that is no JSON',
    answer: (response) => response.end('ok'),
    requests: [3],
    counts: { written: 3, lost: 0 },
  },
];

for (const row of ANSWERS) {
  test(`collector: ${row.name}`, async (t) => {
    const { endpoint, requests } = await collector(t, row.answer);
    const output = open(endpoint);
    output.write(numbered(1, 3));
    await settled(output, 3);
    await output.close();
    t.deepEqual(requests, row.requests);
    t.deepEqual(output.counts, row.counts);
  });
}

test('a collector that is throttling is left alone for as long as it says', async (t) => {
  const times: number[] = [];
  const { endpoint } = await collector(t, (response, number) => {
    times.push(performance.now());
    if (number === 1) response.writeHead(429, { 'retry-after': '1' }).end();
    else response.end('{}');
  });
  const output = open(endpoint);
  output.write(numbered(1, 3));
  await settled(output, 3);
  await output.close();
  t.deepEqual(output.counts, { written: 3, lost: 0 });
  const [first = 0, second = 0] = times;
  t.true(second - first > 900, 'not after the 5 ms of its own');
});

test('a collector that is down: a bounded queue, the rest counted, told once, no wait at the end', async (t) => {
  const told: string[] = [];
  const output = open('http://127.0.0.1:1', told);
  output.write(numbered(1, 25_000));
  await new Promise((resolve) => setTimeout(resolve, 50));
  output.write(numbered(1, 100));
  await output.close();
  t.deepEqual(output.counts, { written: 0, lost: 25_100 });
  t.is(told.length, 1);
  t.regex(told.join(), /collector http:\/\/127.0.0.1:1: .*records are lost/);
});
