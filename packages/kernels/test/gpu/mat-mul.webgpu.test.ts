// oxlint-disable-next-line no-restricted-imports -- tfjs's own fused product is what is replaced
import { fused, type Tensor3D } from '@tensorflow/tfjs-core';
import { describeOnWebgpu, nd, seededRandom, sizeOf, type NdArray } from '@mnemix/testkit';
import {
  closeBackend,
  defineOp,
  matMul,
  openBackend,
  tensor,
  withStockKernels,
  type Tensor,
} from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { gpuKernel } from '../../src/gpu/bridge.ts';
import { float32Kernel } from '../../src/mat-mul/float32.ts';
import type { Tile } from '../../src/mat-mul/float32-wgsl.ts';
import { plan } from '../../src/mat-mul/gpu.ts';
import { columnsOf, mixedKernel, packing, rowsOf, type MixedTile } from '../../src/mat-mul/mixed.ts';
import { productOf, uniformsOf } from '../../src/mat-mul/sizes.ts';
import '../../src/index.ts';
import { expectToMatch, float32, poison, runOp, toTensor } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const ALL_TRANSPOSES: readonly Transposes[] = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB })),
);

/** By the definition, in float64; batch axes are repeated where they are 1 or missing. */
function expected(a: NdArray, b: NdArray, { transposeA, transposeB }: Transposes): NdArray {
  const at = (x: NdArray, transposed: boolean) => {
    const [rows, columns] = x.shape.slice(-2) as [number, number];
    return {
      size: transposed ? [columns, rows] : [rows, columns],
      value: (matrix: number, i: number, j: number) =>
        x.data[matrix * rows * columns + (transposed ? j * columns + i : i * columns + j)]!,
    };
  };
  const [left, right] = [at(a, transposeA), at(b, transposeB)];
  const [m, k, n] = [left.size[0]!, left.size[1]!, right.size[1]!];
  const rank = Math.max(a.shape.length, b.shape.length) - 2;
  const axes = (x: NdArray) => [...Array<number>(rank + 2 - x.shape.length).fill(1), ...x.shape.slice(0, -2)];
  const [outerA, outerB] = [axes(a), axes(b)];
  const outer = outerA.map((size, axis) => Math.max(size, outerB[axis]!));
  const matrixOf = (own: number[], batch: number): number => {
    let [rest, found, step] = [batch, 0, 1];
    for (let axis = rank - 1; axis >= 0; axis--) {
      const index = rest % outer[axis]!;
      rest = Math.floor(rest / outer[axis]!);
      if (own[axis] !== 1) found += index * step;
      step *= own[axis]!;
    }
    return found;
  };
  const y = nd([...outer, m, n]);
  for (let batch = 0; batch < sizeOf(outer); batch++) {
    const [ofA, ofB] = [matrixOf(outerA, batch), matrixOf(outerB, batch)];
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < k; p++) sum += left.value(ofA, i, p) * right.value(ofB, p, j);
        y.data[(batch * m + i) * n + j] = sum;
      }
  }
  return y;
}

const random = seededRandom(7);
const operands = (a: number[], b: number[]) => ({
  a: float32(random.normals(a)),
  b: float32(random.normals(b)),
});

describeOnWebgpu('matMul', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  async function check(a: NdArray, b: NdArray, transposes: Transposes): Promise<void> {
    const wanted = expected(a, b, transposes);
    await poison([wanted.shape]);
    const [left, right] = [toTensor(a), toTensor(b)];
    const y = matMul(left, right, transposes.transposeA, transposes.transposeB);
    expect({ shape: y.shape, data: await y.data() }).toBeCloseRms(wanted, 1e-5);
    for (const x of [left, right, y]) x.dispose();
  }

  // Every axis below, at and above a vector, a block and a tile.
  const sizes = [
    [1, 1, 1],
    [7, 33, 5],
    [33, 7, 129],
    [64, 16, 32],
    [36, 20, 68],
    [129, 130, 1],
  ] as const;

  it.each(sizes)('is right for [%i, %i] · [%i], however the operands are stored', async (m, k, n) => {
    for (const transposes of ALL_TRANSPOSES) {
      const { transposeA, transposeB } = transposes;
      const { a, b } = operands(transposeA ? [k, m] : [m, k], transposeB ? [n, k] : [k, n]);
      await check(a, b, transposes);
    }
  });

  it.each([
    [
      [3, 5, 6],
      [6, 7],
    ],
    [
      [5, 6],
      [3, 6, 7],
    ],
    [
      [3, 5, 6],
      [3, 6, 7],
    ],
    [
      [2, 1, 5, 6],
      [1, 3, 6, 7],
    ],
    [
      [2, 3, 5, 6],
      [3, 6, 7],
    ],
  ])('repeats batch axes: %j · %j', async (a, b) => {
    const { a: left, b: right } = operands(a, b);
    await check(left, right, { transposeA: false, transposeB: false });
  });

  it.each([
    ['more matrices than a dimension has workgroups', [17, 3, 6], [17, 6, 5]],
    ['more parts of an inner axis', [2, 3, 1030], [2, 1030, 5]],
  ])('takes %s in several dispatches', async (_, shapeA, shapeB) => {
    const { a, b } = operands(shapeA, shapeB);
    const transposes = { transposeA: false, transposeB: false };
    const op = defineOp<{ a: Tensor; b: Tensor }, { y: Tensor }, typeof transposes>({
      name: 'TestNarrowMatMul',
      outputs: ['y'],
      portable: () => {
        throw new Error('not on WebGPU');
      },
      kernels: gpuKernel(({ shapes, attrs, device: { features, limits } }) => {
        const { maxComputeWorkgroupStorageSize } = limits;
        const few = { maxComputeWorkgroupStorageSize, maxComputeWorkgroupsPerDimension: 7 };
        const made = plan({
          shapes,
          attrs,
          device: { features, limits: few } as never,
          precision: 'float32',
        });
        const products = made?.dispatches.filter(({ kernel }) => kernel.name === 'MatMul');
        expect(products?.length).toBeGreaterThan(1);
        return made;
      }),
    });
    const { y } = op({ a: toTensor(a), b: toTensor(b) }, transposes);
    expect(nd(y.shape, await y.data<'float32'>())).toBeCloseRms(expected(a, b, transposes), 1e-5);
  });

  it('cuts a long inner axis into parts, to the same bits every time', async () => {
    const { a, b } = operands([1030, 5], [1030, 9]);
    const transposes = { transposeA: true, transposeB: false };
    await check(a, b, transposes);
    const run = async () => {
      const [left, right] = [toTensor(a), toTensor(b)];
      const y = matMul(left, right, true);
      const data = await y.data();
      for (const x of [left, right, y]) x.dispose();
      return data;
    };
    expect(await run()).toEqual(await run());
  });

  it('has the gradients of a product', async () => {
    const inputs = operands([2, 5, 33], [33, 6]);
    const dy = float32(random.normals([2, 5, 6]));
    const made = await runOp(inputs, ({ a, b }) => ({ y: matMul(a!, b!) }), { y: dy });
    const flat = (x: NdArray): NdArray => nd([10, x.shape.at(-1)!], x.data);
    const dA = expected(dy, inputs.b, { transposeA: false, transposeB: true });
    const dB = expected(flat(inputs.a), flat(dy), { transposeA: true, transposeB: false });
    expectToMatch(made, {
      outputs: { y: expected(inputs.a, inputs.b, { transposeA: false, transposeB: false }) },
      gradients: { a: dA, b: dB },
    });
  });

  it.each(['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu', 'prelu'] as const)(
    'adds a bias and applies %s as tfjs does',
    async (activation) => {
      for (const biasShape of [[6], [1]]) {
        const [a, b, bias, slopes] = [[2, 5, 8], [2, 8, 6], biasShape, [6]].map((shape) =>
          toTensor(float32(random.normals(shape, 2))),
        ) as [Tensor3D, Tensor3D, Tensor, Tensor];
        const run = () =>
          fused.matMul({
            a,
            b,
            bias,
            activation,
            leakyreluAlpha: 0.3,
            ...(activation === 'prelu' && { preluActivationWeights: slopes }),
          });
        const [ours, stock] = [run(), withStockKernels(run)];
        expect({ shape: ours.shape, data: await ours.data() }).toBeCloseRms(
          { shape: stock.shape, data: Float64Array.from(await stock.data()) },
          1e-5,
        );
        for (const x of [a, b, bias, slopes, ours, stock]) x.dispose();
      }
    },
  );

  it('leaves empty operands to tfjs', async () => {
    const y = matMul(tensor([], [0, 4]), tensor([1, 2, 3, 4], [4, 1]));
    expect(y.shape).toEqual([0, 1]);
    expect(Array.from(await y.data())).toEqual([]);
    y.dispose();
  });

  // Tiles that only large products get.
  const tiles: Record<string, Tile> = {
    'a block each': { quads: 1, vectors: 1, laneRows: 4, laneColumns: 8, depth: 8 },
    'several blocks each': { quads: 2, vectors: 3, laneRows: 4, laneColumns: 4, depth: 4 },
  };

  it.each(Object.keys(tiles))('is right with tiles of %s', async (name) => {
    const tile = tiles[name]!;
    const [m, k, n] = [39, 22, 52];
    const { a, b } = operands([m, k], [n, k]);
    const transposes = { transposeA: false, transposeB: true };
    const product = productOf(a.shape, b.shape, transposes);
    const op = defineOp<{ a: Tensor; b: Tensor }, { y: Tensor }, object>({
      name: `TestTile ${name}`,
      outputs: ['y'],
      portable: ({ a: left, b: right }) => ({ y: matMul(left, right, false, true) }),
      kernels: gpuKernel(() => ({
        outputs: { y: { shape: [m, n] } },
        dispatches: [
          {
            kernel: float32Kernel({
              ...product,
              tile,
              epilogue: { hasBias: false, activation: 'linear' },
              isVector: true,
            }),
            buffers: ['a', 'b', 'y'],
            uniforms: uniformsOf(product, {
              inner: k,
              splitDepth: 1024,
              sizeA: m * k,
              sizeB: k * n,
              alpha: 0,
            }),
            workgroups: [
              Math.ceil(n / (4 * tile.vectors * tile.laneColumns)),
              Math.ceil(m / (4 * tile.quads * tile.laneRows)),
            ],
          },
        ],
      })),
    });
    await poison([[m, n]]);
    const { y } = op({ a: toTensor(a), b: toTensor(b) }, {});
    expect({ shape: y.shape, data: await y.data() }).toBeCloseRms(expected(a, b, transposes), 1e-5);
  });

  it.each(ALL_TRANSPOSES)('packs operands into f16, scaled and padded (%j)', async (transposes) => {
    const [m, k, n, batch] = [37, 21, 70, 2];
    const { transposeA, transposeB } = transposes;
    const a = float32(random.normals([batch, ...(transposeA ? [k, m] : [m, k])], 1e-7));
    const b = float32(random.normals(transposeB ? [n, k] : [k, n], 1e4));
    const padded = { rows: 64, columns: 128, inner: 32 };
    const { scratch, dispatches } = packing(productOf(a.shape, b.shape, transposes), padded);
    const { partials, ...outputs } = scratch;
    const op = defineOp<{ a: Tensor; b: Tensor }, Record<'packedA' | 'packedB' | 'scales', Tensor>, object>({
      name: `TestPack ${transposeA} ${transposeB}`,
      outputs: ['packedA', 'packedB', 'scales'],
      portable: () => {
        throw new Error('not on WebGPU');
      },
      kernels: gpuKernel(() => ({ outputs, scratch: { partials: partials! }, dispatches })),
    });
    await poison(Object.values(outputs).map(({ shape }) => shape));
    const { packedA, packedB, scales } = op({ a: toTensor(a), b: toTensor(b) }, {});
    const factors = await scales.data();
    for (const [packed, x, edge, paddedEdge, innerLast, factor] of [
      [packedA, a, m, padded.rows, !transposeA, factors[0]!],
      [packedB, b, n, padded.columns, transposeB, factors[1]!],
    ] as const) {
      const largest = Math.max(...x.data.map(Math.abs));
      expect(Number.isInteger(Math.log2(factor))).toBe(true);
      expect(largest / factor).toBeGreaterThanOrEqual(0.5);
      expect(largest / factor).toBeLessThan(1);
      const halves = new Uint16Array(Float32Array.from(await packed.data()).buffer);
      const wanted = nd([x.data.length / k / edge, paddedEdge, padded.inner]);
      for (let i = 0; i < x.data.length; i++) {
        const matrix = Math.floor(i / (edge * k));
        const [slow, fast] = innerLast
          ? [Math.floor(i / k) % edge, i % k]
          : [i % edge, Math.floor(i / edge) % k];
        wanted.data[(matrix * paddedEdge + slow) * padded.inner + fast] = x.data[i]!;
      }
      const found = nd(
        wanted.shape,
        Array.from(halves, (bits) => fromHalf(bits) * factor),
      );
      expect(found).toBeCloseRms(wanted, 3e-4);
    }
  });

  // All but the matrix units themselves: the way of the operands into workgroup memory, and of the sums out of it.
  it.each([
    {
      shapes: [
        [2, 70, 90],
        [90, 100],
      ],
      transposeB: false,
      splits: 1,
      hasBias: true,
    },
    {
      shapes: [
        [65, 130],
        [67, 130],
      ],
      transposeB: true,
      splits: 3,
      hasBias: false,
    },
  ])('multiplies packed operands, with matrix units emulated (%j)', async (given) => {
    const { transposeB, splits, hasBias } = given;
    const { a, b } = operands(given.shapes[0]!, given.shapes[1]!);
    const transposes = { transposeA: false, transposeB };
    const product = productOf(a.shape, b.shape, transposes);
    const { rows, columns, inner, batches } = product;
    const tile: MixedTile = {
      fragmentRows: 1,
      fragmentColumns: 2,
      subgroupRows: 2,
      subgroupColumns: 2,
      depth: 32,
    };
    const up = (size: number, to: number): number => to * Math.ceil(size / to);
    const padded = {
      rows: up(rows, rowsOf(tile)),
      columns: up(columns, columnsOf(tile)),
      inner: up(inner, tile.depth),
    };
    const bias = float32(random.normals([columns]));
    const kernel = mixedKernel({
      tile,
      epilogue: { hasBias, activation: 'linear' },
      isVector: columns % 4 === 0,
    });
    const { scratch, dispatches } = packing(product, padded);
    const op = defineOp<{ a: Tensor; b: Tensor; bias: Tensor }, { y: Tensor }, object>({
      name: `TestMixed ${splits}`,
      outputs: ['y'],
      portable: () => {
        throw new Error('not on WebGPU');
      },
      kernels: gpuKernel(() => ({
        outputs: { y: { shape: [splits, batches, rows, columns] } },
        scratch,
        dispatches: [
          ...dispatches,
          {
            kernel: { ...kernel, wgsl: emulated(kernel.wgsl) },
            buffers: ['packedA', 'packedB', 'scales', ...(hasBias ? ['bias'] : []), 'y'],
            uniforms: uniformsOf(product, {
              inner: padded.inner,
              splitDepth: up(inner / splits, tile.depth),
              sizeA: padded.rows * padded.inner,
              sizeB: padded.columns * padded.inner,
              alpha: 0,
            }),
            workgroups: [padded.columns / columnsOf(tile), padded.rows / rowsOf(tile), splits * batches],
          },
        ],
      })),
    });
    await poison([[splits, batches, rows, columns]]);
    const { y } = op({ a: toTensor(a), b: toTensor(b), bias: toTensor(bias) }, {});
    const parts = await y.data();
    const wanted = expected(a, b, transposes);
    const size = wanted.data.length;
    const found = nd(wanted.shape);
    parts.forEach((value, i) => (found.data[i % size]! += value));
    if (hasBias) wanted.data.forEach((_, i) => (wanted.data[i]! += bias.data[i % columns]!));
    expect(found).toBeCloseRms(wanted, 1e-3);
  });
});

/**
 * The kernel with f32 in place of f16. An operand is where it lies in its slice, and how far its rows are apart; of sums,
 * each of the 32 invocations has 8 in a row.
 */
const emulated = (wgsl: string): string => `
alias Left = vec2u;
alias Right = vec2u;
alias Sums = array<f32, 8>;
fn halves(bits: vec2u) -> vec4f { return vec4f(unpack2x16float(bits.x), unpack2x16float(bits.y)); }
fn multiply(a: Left, b: Right, sums: Sums, lane: u32) -> Sums {
  var made = sums;
  for (var i = 0u; i < 8; i++) {
    let row = a.x + lane / 2 * a.y;
    let column = b.x + (lane % 2 * 8 + i) * b.y;
    for (var k = 0u; k < 16; k++) { made[i] += sliceA[row + k] * sliceB[column + k]; }
  }
  return made;
}
fn store(at: u32, sums: Sums, lane: u32) {
  var made = sums;
  for (var i = 0u; i < 8; i++) { results[at + 8 * lane + i] = made[i]; }
}
${wgsl
  .replace(/^(enable|diagnostic|alias).*$/gm, '')
  .replaceAll('array<f16,', 'array<f32,')
  .replaceAll('bitcast<vec4<f16>>', 'halves')
  .replaceAll(/subgroupMatrixLoad<Left, row_major>\(&sliceA, /g, 'Left(')
  .replaceAll(/subgroupMatrixLoad<Right, col_major>\(&sliceB, /g, 'Right(')
  .replaceAll(/subgroupMatrixMultiplyAccumulate\((.*)\)/g, 'multiply($1, lane)')
  .replaceAll(/subgroupMatrixStore<row_major>\(&results, (.*), (sum\d+), 16\)/g, 'store($1, $2, lane)')}`;

/** The value of a half-precision number. */
function fromHalf(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}
