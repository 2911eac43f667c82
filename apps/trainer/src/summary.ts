// What is printed before training starts.
import type { BackendReport } from '@mnemix/tensor';
import type { Config, ModelConfig, TaskConfig } from './config.ts';
import { bytes, quantity } from './format.ts';
import { blocksOf, isRouted, type BlockKind } from './plan-job.ts';
import type { Parts } from './parts.ts';
import type { Size } from './result.ts';

/** E.g. `wasm (SIMD, 2 threads)`. */
export function describeDevice({ name, adapter, software, simd, threads, features }: BackendReport): string {
  if (adapter) {
    const details = [[adapter.vendor, adapter.architecture].filter(Boolean).join(' ') || adapter.description];
    if (software) details.push('a software adapter: right, but slow');
    if (features.length > 0) details.push(features.join(', '));
    return `${name} (${details.join('; ')})`;
  }
  const details = [...(simd ? ['SIMD'] : []), `${threads} ${threads === 1 ? 'thread' : 'threads'}`];
  return `${name} (${details.join(', ')})`;
}

/** Task, model, its sizes, and the size of a step. */
export function describeRun(
  run: { config: Config; folder: string; label: string },
  { task }: Parts,
  size: Size,
): string {
  const { config, folder, label } = run;
  const { batch, steps } = config.training;
  return [
    '',
    ...(label ? [`run         ${label}`] : []),
    `model       ${describeModel(config.model)}`,
    `parameters  ${quantity(size.total)}, of which ${quantity(size.activated)} take part in a token's result`,
    `state       ${bytes(size.stateBytes)} a sequence, of which a token reads and writes ${bytes(size.activatedStateBytes)}`,
    `task        ${describeTask(config.task)}`,
    `step        ${batch} × ${task.tokens} = ${batch * task.tokens} tokens, ${steps} steps at most`,
    `folder      ${folder}`,
    '',
  ].join('\n');
}

/** E.g. `2 layers of width 64: 4 gated_delta_net memories, top-2, and a shared one`. */
function describeModel(model: ModelConfig): string {
  const { width, layers } = model;
  const blocks = blocksOf(model);
  const kinds = [...new Set(blocks)].map((kind) => ({
    count: blocks.filter((other) => other === kind).length,
    mixer: describeMixer(model, kind),
  }));
  const mixers = kinds.map(({ count, mixer }) => (kinds.length === 1 ? mixer : `${count} × ${mixer}`));
  return `${layers} ${layers === 1 ? 'layer' : 'layers'} of width ${width}: ${mixers.join(' + ')}`;
}

function describeMixer(model: ModelConfig, kind: BlockKind): string {
  const { attention, bmojo } = model;
  if (kind === 'memory') return describeMemory(model);
  if (kind === 'attention')
    return attention.window === undefined ? 'attention' : `attention within a window of ${attention.window}`;
  const slots = bmojo.eidetic ? ` and ${bmojo.eidetic.slots} slots` : '';
  const name = bmojo.eidetic ? "B'MOJO" : "B'MOJO-F";
  return `${name} with a window of ${bmojo.window}${slots} over ${describeMemory(model)}`;
}

function describeMemory(model: ModelConfig): string {
  const { cell, memories, topK, shared } = model;
  return isRouted(model)
    ? `${memories} ${cell} memories, top-${topK}${shared ? ', and a shared one' : ''}`
    : cell;
}

function describeTask(task: TaskConfig): string {
  if (task.kind === 'text') return `${task.file ?? 'Moby-Dick'}, ${task.tokenizer} as tokens`;
  return `recall ${task.pairs} pairs among ${task.tokens} tokens of ${task.vocabSize} symbols`;
}
