import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import {
  centralDifferences,
  fixtureFolders,
  fixturePath,
  fromNested,
  nd,
  oddShapes,
  readLayerFixture,
  readSafetensors,
  rows,
  seededRandom,
} from '../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'mnemix-testkit-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

describe('golden data', () => {
  it('comes from MNEMIX_FIXTURES before anywhere else', () => {
    writeFileSync(join(folder, 'engines-float64.json'), '{}');
    vi.stubEnv('MNEMIX_FIXTURES', folder);
    expect(fixturePath('engines-float64.json')).toBe(join(folder, 'engines-float64.json'));
  });

  it('is in the repository itself as far as its tests need it', () => {
    const copies = fixtureFolders().at(-1)!;
    expect(copies).toBe(fileURLToPath(new URL('../fixtures', import.meta.url)));
    const layers = ['linear_attention', 'linear_attention_normalised', 'retnet', 'gla', 'delta_net'];
    const delta = ['gated_delta_net', 'gated_delta_net_neg', 'mom_gated_delta'];
    const later = ['gated_delta_product', 'gsa', 'hgrn2', 'kda', 'mamba2', 'rwkv6'];
    const mom = ['mom_gated_delta_noshared', 'mom_gated_delta_singlekv'];
    const models = ['mom', 'gla', 'delta_net', 'gated_deltanet', 'hgrn2', 'mamba2', 'retnet'].flatMap(
      (name) =>
        ['config.json', 'model.safetensors', 'expected.safetensors'].map((file) =>
          join('models', name, file),
        ),
    );
    const files = [...layers, ...delta, ...later, ...mom].map((name) => `${name}.safetensors`);
    const missing = [...files, ...models, 'engines-float64.json', 'bmojo-float64.json'].filter(
      (file) => !existsSync(join(copies, file)),
    );
    expect(missing).toEqual([]);
  });

  it('that is missing is an error that names the places searched', () => {
    expect(() => fixturePath('nothing.safetensors')).toThrow(fixtureFolders().at(-1));
  });

  it('has a gradient in the shape of every parameter', () => {
    const { params, gradients, config } = readLayerFixture('gated_delta_net');
    expect(config['head_dim']).toBe(16);
    for (const [name, tensor] of Object.entries(params)) {
      expect(gradients.params[name]?.shape, name).toEqual(tensor.shape);
    }
  });
});

describe('the safetensors reader', () => {
  const write = (header: object, bytes: Uint8Array): string => {
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    const path = join(folder, 'file.safetensors');
    writeFileSync(path, Buffer.concat([length, text, bytes]));
    return path;
  };
  const bytes = new Uint8Array(Float32Array.of(1.5, -2).buffer);

  it('reads names, shapes, values and metadata', () => {
    const header = { __metadata__: { a: 'b' }, x: { dtype: 'F32', shape: [2, 1], data_offsets: [0, 8] } };
    const { metadata, tensors } = readSafetensors(write(header, bytes));
    expect(metadata).toEqual({ a: 'b' });
    expect(tensors['x']).toEqual({ shape: [2, 1], data: Float32Array.of(1.5, -2) });
  });

  it('refuses other types and bytes that do not fill the shape', () => {
    const half = { x: { dtype: 'F16', shape: [4], data_offsets: [0, 8] } };
    expect(() => readSafetensors(write(half, bytes))).toThrow('x has dtype F16');
    const short = { x: { dtype: 'F32', shape: [3], data_offsets: [0, 8] } };
    expect(() => readSafetensors(write(short, bytes))).toThrow('x holds 8 bytes, shape [3] needs 12');
  });
});

describe('seeded numbers', () => {
  it('are the same for the same seed and others for another', () => {
    const draw = (seed: number) => Array.from(seededRandom(seed).normals([5]).data);
    expect(draw(4)).toEqual(draw(4));
    expect(draw(4)).not.toEqual(draw(5));
  });

  it('have the moments of their distributions', () => {
    const random = seededRandom(1);
    const moments = (values: Float64Array) => {
      const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
      return [mean, values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length];
    };
    expect(moments(random.normals([20000]).data)[0]).toBeCloseTo(0, 1);
    expect(moments(random.normals([20000], 2).data)[1]).toBeCloseTo(4, 0);
    expect(moments(random.uniforms([20000], -1, 1).data)[1]).toBeCloseTo(1 / 3, 1);
    const integers = new Set(Array.from({ length: 100 }, () => random.integer(3)));
    expect([...integers].sort()).toEqual([0, 1, 2]);
  });
});

describe('central differences', () => {
  it('give the slope of every entry of every input and leave the inputs alone', () => {
    const inputs = { a: nd([2], [1, 2]), b: nd([1], [3]) };
    const gradients = centralDifferences(
      ({ a, b }) => a.data[0]! ** 2 * b.data[0]! + Math.exp(a.data[1]!),
      inputs,
    );
    expect(gradients.a).toBeCloseRms([6, Math.exp(2)], 1e-9, 0);
    expect(gradients.b).toBeCloseRms([1], 1e-9, 0);
    expect(inputs.a.data).toEqual(Float64Array.of(1, 2));
  });
});

describe('arrays', () => {
  it('refuse values that do not fill the shape', () => {
    expect(() => nd([2, 2], [1, 2, 3])).toThrow('shape [2,2] holds 4 values, got 3');
    expect(() => fromNested([[1, 2], [3]])).toThrow('ragged');
    expect(() => rows(nd([2, 2]), 1, 3)).toThrow('[1, 3) lies outside axis 0 of shape [2,2]');
  });
});

describe('odd shapes', () => {
  it('cover the lengths that chunks are likely to get wrong', () => {
    const lengths = oddShapes.map((shape) => shape.tokens);
    expect(lengths).toEqual([1, 2, 15, 64, 75, 131]);
    expect(oddShapes.every((shape) => shape.keyWidth % 4 !== 0 || shape.valueWidth % 4 !== 0)).toBe(true);
    expect(new Set(oddShapes.map((shape) => shape.name)).size).toBe(oddShapes.length);
  });
});
