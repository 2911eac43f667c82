// What the schema finds wrong, in words that name the key and the way out.
import type { z } from 'zod';
import { configJsonSchema } from './config.ts';
import type { Fault } from './errors.ts';

type Json = Record<string, unknown>;

/** @param raw the configuration as it was written */
export function schemaFaults(issue: z.core.$ZodIssue, raw: unknown): Fault[] {
  const where = issue.path.join('.') || 'the configuration';
  const found = issue.path.reduce<unknown>((value, key) => (value as Json | undefined)?.[key as string], raw);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const allowed = keysAt(issue.path, raw).join(', ');
      return issue.keys.map((key) => ({
        where: [...issue.path, key].join('.'),
        message: 'is not a key of the configuration.',
        fix: `Remove it, or use one of: ${allowed}.`,
      }));
    }
    case 'invalid_value':
      return [{ where, message: `is ${show(found)}.`, fix: `Use one of: ${issue.values.join(', ')}.` }];
    case 'invalid_union':
      return [{ where, message: `is ${show(found)}.`, fix: 'Use one of: recall, text.' }];
    case 'too_small':
      return [
        {
          where,
          message: `is ${show(found)}.`,
          fix: `Use ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}.`,
        },
      ];
    case 'too_big':
      return [{ where, message: `is ${show(found)}.`, fix: `Use at most ${issue.maximum}.` }];
    case 'invalid_type':
      if (found === undefined)
        return [{ where, message: 'is missing.', fix: `Add it: it is of type ${issue.expected}.` }];
      return [
        {
          where,
          message: `is ${show(found)}.`,
          fix: `Use a value of type ${issue.expected === 'int' ? 'integer' : issue.expected}.`,
        },
      ];
    default:
      return [{ where, message: `is ${show(found)}: ${issue.message}.`, fix: 'Change it accordingly.' }];
  }
}

const show = (value: unknown): string => JSON.stringify(value) ?? 'missing';

/** What the JSON schema says of a value, as far as it is needed here. */
interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node;
  readonly items?: Node;
  readonly oneOf?: readonly Node[];
  readonly anyOf?: readonly Node[];
  readonly const?: unknown;
}

/** The keys that the schema allows at a path, for the reader to choose from. */
function keysAt(path: readonly PropertyKey[], raw: unknown): string[] {
  const choose = (node: Node, value: unknown): Node =>
    node.oneOf?.find(({ properties }) => properties?.['kind']?.const === (value as Json)['kind']) ??
    // A section, or null.
    node.anyOf?.find(({ properties }) => properties) ??
    node;
  let [node, value] = [configJsonSchema() as Node, raw];
  for (const key of path as string[]) {
    node = node.properties?.[key] ?? node.items ?? (node.additionalProperties as Node);
    value = (value as Json)[key];
    node = choose(node, value);
  }
  return Object.keys(node.properties ?? {}).filter((key) => key !== '$schema');
}
