// The text of kernels on several tensors at once. A buffer cannot be chosen by a number, so each tensor has its own bindings and
// its own function, and the workgroup's y says which one is called.
import { packed, type PackedText } from '../gpu/rows/index.ts';
import squaresWgsl from './squares.wgsl';
import stepWgsl from './step.wgsl';

const texts = new Map<string, PackedText>();

function textOf(key: string, make: () => string): PackedText {
  const known = texts.get(key);
  if (known) return known;
  const text = packed(make());
  texts.set(key, text);
  return text;
}

const each = (count: number, text: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => text(i)).join('\n');

const bind = (binding: number, name: string, mode: 'read' | 'read_write', element = 'Pack'): string =>
  `@group(0) @binding(${binding}) var<storage, ${mode}> ${name}: array<${element}>;`;

/** The buffers of one tensor in a step, without its number: those that are read, and those that are written, which may be the same. */
export const stepBuffers = (isInPlace: boolean): { readonly read: string[]; readonly written: string[] } =>
  isInPlace
    ? { read: ['grad'], written: ['param', 'm', 'v'] }
    : { read: ['param', 'grad', 'm', 'v'], written: ['newParam', 'newM', 'newV'] };

/** One step of `count` tensors; `isScaled`: by a number that lies on the device. */
export function stepText(
  count: number,
  { isInPlace, isScaled }: { isInPlace: boolean; isScaled: boolean },
): PackedText {
  const { read, written } = stepBuffers(isInPlace);
  const [newParam, newM, newV] = written;
  const own = read.length + written.length;
  const bound = (i: number): string =>
    [...read, ...written]
      .map((name, n) => bind(own * i + n, `${name}${i}`, n < read.length ? 'read' : 'read_write'))
      .join('\n');
  return textOf(
    `step ${count} ${isInPlace} ${isScaled}`,
    () => `${stepWgsl}
struct Uniforms {
${each(count, (i) => `  of${i}: Parameter,`)}
}
${each(count, bound)}
${isScaled ? `@group(0) @binding(${own * count}) var<uniform> gradScale: f32;` : ''}
@group(0) @binding(${own * count + Number(isScaled)}) var<uniform> sizes: Uniforms;
${each(
  count,
  (i) => `
fn step${i}(first: u32, stride: u32, scale: f32) {
  for (var i = first; i < sizes.of${i}.count; i += stride) {
    let next = updated(sizes.of${i}, param${i}[i], grad${i}[i], m${i}[i], v${i}[i], scale);
    ${newParam}${i}[i] = next.param;
    ${newM}${i}[i] = next.m;
    ${newV}${i}[i] = next.v;
  }
}`,
)}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let scale = ${isScaled ? 'gradScale' : '1f'};
  switch (id.y) {
${each(count, (i) => `    case ${i}: { step${i}(id.x, groups.x * 256, scale); }`)}
    default: {}
  }
}
`,
  );
}

/** Σx² of `count` tensors, in parts. */
export const squaresText = (count: number): PackedText =>
  textOf(
    `squares ${count}`,
    () => `${squaresWgsl}
struct Uniforms {
  tensors: u32, // of all dispatches together
  rows: u32, // parts of each
${each(count, (i) => `  count${i}: u32, // of packs\n  column${i}: u32,`)}
}
${each(count, (i) => bind(i, `x${i}`, 'read'))}
${bind(count, 'partials', 'read_write', 'f32')}
@group(0) @binding(${count + 1}) var<uniform> sizes: Uniforms;
${each(
  count,
  (i) => `
fn square${i}(n: u32) -> Pack {
  let x = select(Pack(), x${i}[min(n, sizes.count${i} - 1)], n < sizes.count${i});
  return x * x;
}

fn squares${i}(first: u32, stride: u32) -> f32 {
  var sum = Pack();
  for (var n = first; n < sizes.count${i}; n += 4 * stride) {
    // Four reads in flight.
    sum += (square${i}(n) + square${i}(n + stride)) + (square${i}(n + 2 * stride) + square${i}(n + 3 * stride));
  }
  return dotOf(sum, Pack(1));
}`,
)}

@compute @workgroup_size(invocations)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let first = group.x * invocations + local;
  let stride = groups.x * invocations;
  switch (group.y) {
${each(count, (i) => `    case ${i}: { leave(squares${i}(first, stride), sizes.column${i}, local, group.x, groups.x); }`)}
    default: {}
  }
}
`,
  );
