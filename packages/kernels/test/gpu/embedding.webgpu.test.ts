import { describeOnWebgpu, nd, seededRandom } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { embedding } from '../../src/index.ts';
import { embeddingCases, expectEmbedding } from '../embedding-cases.ts';
import { float32, int32, runOp } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('embedding', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(embeddingCases)('matches the definition, and so does its gradient: $name', expectEmbedding);

  it('gives the same bits every time, however the tokens arrive', async () => {
    const random = seededRandom(2);
    const ids = Array.from({ length: 3000 }, () => random.integer(7));
    const dy = float32(random.normals([3000, 4]));
    const run = () =>
      runOp({ weight: nd([7, 4]) }, (t) => ({ y: embedding({ weight: t['weight']!, ids: int32(ids) }) }), {
        y: dy,
      });
    const first = await run();
    for (let i = 0; i < 3; i++) expect(await run()).toEqual(first);
  });
});
