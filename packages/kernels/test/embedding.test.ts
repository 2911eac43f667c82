import { openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { embedding } from '../src/index.ts';
import { embeddingCases, expectEmbedding } from './embedding-cases.ts';
import { int32 } from './op-cases.ts';

describe.each(['cpu', 'wasm'] as const)('embedding on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each(embeddingCases)('matches the definition, and so does its gradient: $name', expectEmbedding);

  it('says what is wrong with its arguments', () => {
    const weight = zeros([3, 2]);
    expect(() => embedding({ weight, ids: zeros([2]) })).toThrow(/embedding\(ids\)/);
    expect(() => embedding({ weight: zeros([3]), ids: int32([0]) })).toThrow(/embedding\(weight\)/);
    expect(() => embedding({ weight, ids: int32([3]) })).toThrow(/index 3 is outside of 3 rows/);
  });
});
