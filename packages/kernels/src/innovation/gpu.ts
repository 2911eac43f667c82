// The innovation on WebGPU: bindings and dispatch of innovation.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32 } from '../gpu/kernel.ts';
import wgsl from './innovation.wgsl';
import type { Attrs, Inputs } from './portable.ts';

const MAX_GROUPS = 4096;
/** As innovation.wgsl counts them. */
const ERRORS = { l2: 0, l1: 1, relL2: 2 } as const;

/** By the taps, which are constants of the text. */
const texts = new Map<string, string>();

function textOf(taps: readonly number[]): string {
  const key = taps.join();
  const values = taps.map((tap) => `f32(${tap})`).join(', ');
  const text =
    texts.get(key) ?? `const reach = ${taps.length}u;\nconst taps = array<f32, reach>(${values});\n${wgsl}`;
  texts.set(key, text);
  return text;
}

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs }) => {
  const [rows = 0, width = 0] = shapes.y;
  const { before, position } = shapes;
  return {
    outputs: { e: { shape: [rows] } },
    dispatches: [
      {
        kernel: {
          name: 'Innovation',
          wgsl: textOf(attrs.taps),
          bindings: ['read', 'read', 'read', 'read', 'read', 'write'],
          constants: { error: ERRORS[attrs.error] },
        },
        // What is not given is not read, but something must be bound.
        buffers: ['y', before ? 'before' : 'y', position ? 'position' : 'y', 'starts', 'rowSequence', 'e'],
        uniforms: [u32(rows), u32(width), u32(before?.[1] ?? 0), u32(Number(position !== undefined))],
        workgroups: [Math.min(MAX_GROUPS, rows)],
      },
    ],
  };
});
