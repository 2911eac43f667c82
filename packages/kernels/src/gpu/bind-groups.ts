// Bind groups, kept for as long as kernels meet the same buffers again: a training step takes its buffers in the same order every time
// (`BufferPool` of tensor), and to make a bind group costs more than all else that a dispatch needs.
import type { Compiled } from './pipelines.ts';

/** Those of a few steps of a language model. What is forgotten is freed with the commands that use it. */
const MOST_KEPT = 8192;

const kept = new WeakMap<GPUDevice, Map<string, GPUBindGroup>>();

/** A name for each layout and buffer. One that is destroyed is never met again, so a name is all that is kept of it. */
const numbers = new WeakMap<object, number>();
let last = 0;

function numberOf(thing: object): number {
  let number = numbers.get(thing);
  if (number === undefined) numbers.set(thing, (number = ++last));
  return number;
}

/** The bind group of these buffers, in the order of the bindings. */
export function bindGroupOf(
  device: GPUDevice,
  { name, layout }: Compiled,
  resources: readonly GPUBufferBinding[],
): GPUBindGroup {
  let groups = kept.get(device);
  if (!groups) kept.set(device, (groups = new Map<string, GPUBindGroup>()));
  let key = String(numberOf(layout));
  for (const { buffer } of resources) key += ` ${numberOf(buffer)}`;
  let group = groups.get(key);
  if (group) groups.delete(key);
  else {
    group = device.createBindGroup({
      label: name,
      layout,
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }
  // Last in the order: used most recently.
  groups.set(key, group);
  if (groups.size > MOST_KEPT) groups.delete(groups.keys().next().value as string);
  return group;
}
