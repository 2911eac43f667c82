// The buffers and the uniforms of a product's text.
import type { GpuKernel } from '../gpu/kernel.ts';

/** A buffer's name in the text, and the type of its elements. */
export type Buffer = readonly [name: string, element: string];

export interface Bindings {
  readonly inputs: readonly Buffer[];
  readonly outputs: readonly Buffer[];
  /** Of `sizes`, u32 all. */
  readonly fields: readonly string[];
}

/** Of a buffer of rows whose length is a multiple of 4, or is not. */
export const elementOf = (isVector: boolean): string => (isVector ? 'vec4f' : 'f32');

export const bindingsWgsl = ({ inputs, outputs, fields }: Bindings): string =>
  [
    ...[...inputs, ...outputs].map(
      ([name, element], i) =>
        `@group(0) @binding(${i}) var<storage, ${i < inputs.length ? 'read' : 'read_write'}> ${name}: array<${element}>;`,
    ),
    `struct Sizes { ${fields.map((field) => `${field}: u32,`).join(' ')} }`,
    `@group(0) @binding(${inputs.length + outputs.length}) var<uniform> sizes: Sizes;`,
  ].join('\n');

export const accessOf = ({ inputs, outputs }: Bindings): GpuKernel['bindings'] => [
  ...inputs.map(() => 'read' as const),
  ...outputs.map(() => 'write' as const),
];

/** Four neighbouring numbers of a buffer of such rows, those behind the last of them whatever they are. */
export const fourWgsl = (buffer: string, at: string, isVector: boolean): string =>
  isVector
    ? `${buffer}[(${at}) / 4]`
    : `vec4f(${[0, 1, 2, 3].map((c) => `${buffer}[${at} + ${c}]`).join(', ')})`;

export interface Put {
  readonly buffer: string;
  readonly isVector: boolean;
  /** Expressions: where the first of four neighbouring columns goes, and how many there are from it on. */
  readonly at: string;
  readonly left: string;
}

/** Statements that write the four columns of `value`, those that are there. */
export const putWgsl = ({ buffer, isVector, at, left }: Put): string =>
  isVector
    ? `${buffer}[(${at}) / 4] = value;`
    : [0, 1, 2, 3].map((c) => `if (${c} < ${left}) { ${buffer}[${at} + ${c}] = value[${c}]; }`).join(' ');
