// How a stage reaches the tensors of several convolutions, its parts: each workgroup has one of them.
import { read, rowsOf, written, writtenRowsOf, type Stage } from '../gpu/scan/stage.ts';

/** What the parts have under one name of the text. */
export interface Own {
  /** Rows of channels, a window for each channel, or a number for each. */
  readonly layout: 'rows' | 'windows' | 'numbers';
  readonly isWritten?: boolean;
  /** Of each part; none where the parts go without it: then it reads as 0, and what is put there is dropped. */
  readonly tensors: readonly string[];
}

export type Owns = Readonly<Record<string, Own>>;

/** The bindings of all parts. */
export const bindingsOf = (owns: Owns): Stage['bindings'] =>
  Object.fromEntries(
    Object.entries(owns).flatMap(([name, { layout, isWritten, tensors }]) =>
      tensors.map((tensor, i) => {
        const rows = isWritten ? writtenRowsOf : rowsOf;
        const numbers = isWritten ? written : read;
        return [`${name}${i}`, layout === 'rows' ? rows(tensor, `channels${i}`) : numbers(tensor)] as const;
      }),
    ),
  );

/** The struct of the uniforms, `choosePart`, and for what the chosen part has `<name>At` or `put<Name>`; for rows that are written both. */
export function partsWgsl(count: number, owns: Owns): string {
  const all = Array.from({ length: count }, (_, i) => i);
  const before = (i: number): string =>
    all
      .slice(0, i)
      .map((at) => ` + sizes.channels${at}`)
      .join('');
  return `
struct Uniforms {
  rows: u32,
  sequences: u32,
  /** Rows of an item. */
  span: u32,
  /** Of workgroups, along the channels of a part. */
  tiles: u32,
  /** Channels of the widest part, and of all. */
  columns: u32,
  channels: u32,
${all.map((i) => `  channels${i}: u32,`).join('\n')}
}

fn choosePart(number: u32) {
  part = number;
${choice(count, (i) => `channels = sizes.channels${i}; channelsBefore = 0${before(i)};`)}
}
${Object.entries(owns)
  .map(([name, own]) => accessWgsl(name, own))
  .join('\n')}`;
}

/** A workgroup is of one part, so that all its invocations take the same way. */
const choice = (count: number, ofPart: (i: number) => string): string =>
  count === 1
    ? `  ${ofPart(0)}`
    : `  switch part {
${Array.from({ length: count - 1 }, (_, i) => `    case ${i}: { ${ofPart(i)} }`).join('\n')}
    default: { ${ofPart(count - 1)} }
  }`;

function accessWgsl(name: string, { layout, isWritten, tensors }: Own): string {
  const put = `put${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const isRows = layout === 'rows';
  const chosen = (ofPart: (i: number) => string, none: string): string =>
    tensors.length === 0 ? `  ${none}` : choice(tensors.length, ofPart);
  const stride = layout === 'windows' ? 'width' : '1';
  const rowsAt = `fn ${name}At(row: u32, column: u32) -> vec4f {
${chosen((i) => `return ${name}${i}At(row, column);`, 'return vec4f();')}
}`;
  if (isWritten) {
    return isRows
      ? `fn ${put}(row: u32, column: u32, value: vec4f) {
${chosen((i) => `${put}${i}(row, column, value);`, '')}
}
${rowsAt}`
      : `fn ${put}(at: u32, count: u32, value: vec4f) {
  for (var c = 0u; c < min(4, count); c++) {
${chosen((i) => `${name}${i}[at + c * ${stride}] = value[c];`, '')}
  }
}`;
  }
  const four = (i: number): string =>
    [0, 1, 2, 3].map((c) => `${name}${i}[at + ${c} * ${stride}]`).join(', ');
  return isRows
    ? rowsAt
    : `fn ${name}At(at: u32) -> vec4f {
${chosen((i) => `return vec4f(${four(i)});`, 'return vec4f();')}
}`;
}
