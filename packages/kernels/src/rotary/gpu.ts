// Rotation on WebGPU: bindings and dispatch of rotary.wgsl.
import { gpuKernel } from '../gpu/bridge.ts';
import { f32, u32, type Uniform } from '../gpu/kernel.ts';
import { packed, packGroups, packOf } from '../gpu/rows/index.ts';
import { frequenciesOf, type Attrs, type Inputs } from './portable.ts';
import rotaryWgsl from './rotary.wgsl';

/** The larger of two floats whose sum is x; it has 8 significant bits. */
function highPart(x: number): number {
  const step = 2 ** (Math.floor(Math.log2(x)) - 7);
  return Math.round(x / step) * step;
}

/** Turns for each position, high parts before low ones, each filled up to vectors of 4. */
function frequencyTable(width: number, base: number): Uniform[] {
  const turns = frequenciesOf(width, base).map((frequency) => frequency / (2 * Math.PI));
  const fill = Array<number>((4 - (turns.length % 4)) % 4).fill(0);
  const high = turns.map(highPart);
  const low = turns.map((turn, i) => turn - (high[i] as number));
  return [...high, ...fill, ...low, ...fill].map(f32);
}

interface Variant {
  readonly wgsl: string;
  readonly table: readonly Uniform[];
}

const variants = new Map<string, Variant>();

function variantOf(pack: 1 | 4, width: number, base: number): Variant {
  const key = `${width} ${base}`;
  const known = variants.get(key);
  if (known) return known;
  const table = frequencyTable(width, base);
  const text = packed(`const tableVectors = ${table.length / 8}u;`, rotaryWgsl);
  const variant = { wgsl: text[pack], table };
  variants.set(key, variant);
  return variant;
}

export const forward = gpuKernel<Inputs, Attrs>(({ shapes, attrs: { base, inverse } }) => {
  const [rows = 0, heads = 0, width = 0] = shapes.x;
  const pack = packOf(width / 2);
  const packs = width / 2 / pack;
  const { wgsl, table } = variantOf(pack, width, base);
  return {
    outputs: { y: { shape: shapes.x } },
    dispatches: [
      {
        kernel: { name: 'Rotary', wgsl, bindings: ['read', 'read', 'write'] },
        buffers: ['x', 'positions', 'y'],
        uniforms: [u32(rows), u32(heads), u32(packs), f32(inverse ? -1 : 1), ...table],
        workgroups: [packGroups(rows * packs)],
      },
    ],
  };
});
