/** The part of JSON Schema that deploy/flow-record.schema.json uses. A value and a schema in, what does not fit out. */

type Json = Readonly<Record<string, unknown>>;

/** Paths with what is wrong there; empty = valid. A keyword that is not known here is wrong too. */
export function schemaErrors(root: Json, value: unknown, schema: Json = root, at = '$'): string[] {
  return Object.entries(schema).flatMap(([keyword, argument]) => {
    const check = KEYWORDS[keyword];
    if (check === undefined) return [`${at}: unknown keyword ${keyword}`];
    return check({ root, schema, at }, value, argument);
  });
}

interface Place {
  readonly root: Json;
  readonly schema: Json;
  readonly at: string;
}

type Check = (place: Place, value: unknown, argument: unknown) => string[];

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const annotation: Check = () => [];

const KEYWORDS: Readonly<Record<string, Check>> = {
  $schema: annotation,
  $id: annotation,
  $defs: annotation,
  title: annotation,
  description: annotation,
  $ref: ({ root, at }, value, argument) => {
    const name = String(argument).replace('#/$defs/', '');
    const found = (root['$defs'] as Readonly<Record<string, Json>>)[name];
    return found === undefined ? [`${at}: no ${name}`] : schemaErrors(root, value, found, at);
  },
  const: ({ at }, value, argument) =>
    value === argument ? [] : [`${at}: is not ${String(argument)}`],
  enum: ({ at }, value, argument) =>
    (argument as unknown[]).includes(value)
      ? []
      : [`${at}: ${String(value)} is none of the values`],
  type: ({ at }, value, argument) =>
    typeOf(value, argument) ? [] : [`${at}: is no ${String(argument)}`],
  pattern: ({ at }, value, argument) =>
    new RegExp(String(argument)).test(String(value))
      ? []
      : [`${at}: ${String(value)} has another form`],
  minimum: ({ at }, value, argument) =>
    Number(value) >= Number(argument) ? [] : [`${at}: too small`],
  maximum: ({ at }, value, argument) =>
    Number(value) <= Number(argument) ? [] : [`${at}: too large`],
  required: ({ at }, value, argument) =>
    (argument as string[]).flatMap((name) =>
      isObject(value) && name in value ? [] : [`${at}: ${name} is missing`],
    ),
  items: ({ root, at }, value, argument) =>
    (value as unknown[]).flatMap((each, index) =>
      schemaErrors(root, each, argument as Json, `${at}[${index}]`),
    ),
  properties: ({ root, at }, value, argument) =>
    Object.entries(argument as Readonly<Record<string, Json>>).flatMap(([name, schema]) =>
      isObject(value) && value[name] !== undefined
        ? schemaErrors(root, value[name], schema, `${at}.${name}`)
        : [],
    ),
  additionalProperties: ({ root, schema, at }, value, argument) =>
    Object.entries(isObject(value) ? value : {}).flatMap(([name, each]) => {
      if (isObject(schema['properties']) && name in schema['properties']) return [];
      if (argument === false) return [`${at}: ${name} does not belong here`];
      return schemaErrors(root, each, argument as Json, `${at}.${name}`);
    }),
};

function typeOf(value: unknown, type: unknown): boolean {
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
