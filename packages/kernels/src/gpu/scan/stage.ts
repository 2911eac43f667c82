// Puts a kernel of several buffers together: declarations of the bindings, functions that read and write vectors of four, and
// the body.
import type { Access, GpuDispatch, Uniform } from '../kernel.ts';

/** A buffer as a kernel sees it. */
export interface Bound {
  /** Name of the tensor. */
  readonly tensor: string;
  readonly access: Access;
  /** WGSL type of an element. Left out, the tensor is rows of `width`, seen through `nameAt` or `putName`. */
  readonly element?: string;
  /** A field of the uniforms. */
  readonly width?: string;
}

/**
 * Rows of `width` floats: the body has `<name>At(row, column)`, 4 columns of which those behind the last are 0, and
 * `<name>Near(row, column)`, where these are others of the row: what is read ahead must not be looked at before it is needed.
 */
export const rowsOf = (tensor: string, width: string): Bound => ({ tensor, access: 'read', width });

/** The same to be written as well: `put<Name>(row, column, value)` leaves columns behind the last alone. */
export const writtenRowsOf = (tensor: string, width: string): Bound => ({ tensor, access: 'write', width });

export const read = (tensor: string, element = 'f32'): Bound => ({ tensor, access: 'read', element });
export const written = (tensor: string, element = 'f32'): Bound => ({ tensor, access: 'write', element });

/** Scratch that is bound in place of what nobody asks for. */
export const unasked = { unasked: { shape: [4] } };

export interface Stage {
  /** Stands for the text: stages of the same name have the same parts, and bindings of the same names and elements. */
  readonly name: string;
  /** One that takes work to write is written when it is asked for, once. */
  readonly parts: readonly (string | (() => string))[];
  /** Directives, e.g. `enable f16;`: they stand before all else. */
  readonly heading?: string;
  /** By their names in the text, in the order of the bindings. The struct `Uniforms` of the text is bound last, as `sizes`. */
  readonly bindings: Readonly<Record<string, Bound>>;
  readonly uniforms: readonly Uniform[];
  readonly constants: Readonly<Record<string, number>>;
  readonly workgroups: GpuDispatch['workgroups'];
  /** All widths are multiples of 4, so that rows can be moved in vectors. */
  readonly aligned: boolean;
}

const texts = new Map<string, string>();

export function stage({
  name,
  heading,
  parts,
  bindings,
  uniforms,
  constants,
  workgroups,
  aligned,
}: Stage): GpuDispatch {
  const key = `${name} ${aligned}`;
  const wgsl = texts.get(key) ?? textOf({ heading, parts, bindings, aligned });
  texts.set(key, wgsl);
  const bound = Object.values(bindings);
  return {
    kernel: { name, wgsl, bindings: bound.map(({ access }) => access), constants },
    buffers: bound.map(({ tensor }) => tensor),
    uniforms,
    workgroups,
  };
}

function textOf({
  heading,
  parts,
  bindings,
  aligned,
}: Pick<Stage, 'heading' | 'parts' | 'bindings' | 'aligned'>): string {
  const entries = Object.entries(bindings);
  const declared = entries.map(([name, { access, element = aligned ? 'vec4f' : 'f32' }], binding) => {
    const mode = access === 'read' ? 'read' : 'read_write';
    return `@group(0) @binding(${binding}) var<storage, ${mode}> ${name}: array<${element}>;`;
  });
  declared.push(`@group(0) @binding(${entries.length}) var<uniform> sizes: Uniforms;`);
  const movers = entries.map(([name, { access, width }]) =>
    width === undefined
      ? ''
      : access === 'read'
        ? reader(name, width, aligned)
        : reader(name, width, aligned) + writer(name, width, aligned),
  );
  const written = parts.map((part) => (typeof part === 'string' ? part : part()));
  return [...(heading ? [heading] : []), ...declared, ...movers, ...written].join('\n');
}

const four = (element: (c: number) => string): string => [0, 1, 2, 3].map(element).join(', ');

/**
 * Columns behind the last are read from the last and then dropped: a driver waits for what is read within a branch before it
 * goes on to the next.
 */
const reader = (name: string, width: string, aligned: boolean): string => `
fn ${name}Near(row: u32, column: u32) -> vec4f {
${
  aligned
    ? `  return ${name}[(row * sizes.${width} + min(column, sizes.${width} - 4)) / 4];`
    : `  let at = row * sizes.${width};
  return vec4f(${four((c) => `${name}[at + min(column + ${c}, sizes.${width} - 1)]`)});`
}
}

fn ${name}At(row: u32, column: u32) -> vec4f {
  let behind = ${aligned ? 'column' : 'column + vec4u(0, 1, 2, 3)'} >= ${aligned ? `sizes.${width}` : `vec4u(sizes.${width})`};
  return select(${name}Near(row, column), vec4f(), behind);
}`;

const writer = (name: string, width: string, aligned: boolean): string => `
fn put${name.charAt(0).toUpperCase()}${name.slice(1)}(row: u32, column: u32, value: vec4f) {
${
  aligned
    ? `  if (column < sizes.${width}) {
    ${name}[(row * sizes.${width} + column) / 4] = value;
  }`
    : `  for (var c = 0u; c < 4 && column + c < sizes.${width}; c++) {
    ${name}[row * sizes.${width} + column + c] = value[c];
  }`
}
}`;
