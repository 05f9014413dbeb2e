/** A value against a JSON Schema (draft 2020-12). Strict: a keyword that the schema language does not know is an error of the schema. */
import { Ajv2020 } from 'ajv/dist/2020.js';

/** Keeps what it compiled, by schema object. */
const AJV = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true });

/** Paths with what is wrong there; empty = valid. Throws when the schema itself is wrong. */
export function schemaErrors(schema: Readonly<Record<string, unknown>>, value: unknown): string[] {
  const validate = AJV.compile(schema);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message }) => `$${instancePath}: ${message ?? 'not valid'}`,
  );
}
