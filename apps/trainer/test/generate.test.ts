import { cpSync, mkdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { readModelFixture } from '@mnemix/testkit';
import { describe, expect, it, vi } from 'vitest';
import { createRunFolder } from '../src/run-folder.ts';
import { runJob } from '../src/job.ts';
import { buildParts } from '../src/parts.ts';
import { checkConfig } from '../src/resolve-config.ts';
import { runCommand } from '../src/run-command.ts';
import { temporaryFolder } from './folder.ts';

vi.setConfig({ testTimeout: 30_000 });

async function generate(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const printed = { stdout: '', stderr: '' };
  vi.spyOn(console, 'log').mockImplementation((text) => void (printed.stdout += text));
  vi.spyOn(console, 'error').mockImplementation((text) => void (printed.stderr += text));
  const code = await runCommand(['generate', ...words]);
  vi.restoreAllMocks();
  return { code, ...printed };
}

describe('generate', () => {
  const { folder, expected } = readModelFixture('mom');
  const prompt = Array.from(expected.greedyPrompt.data).join(',');
  const tokens = Array.from(expected.greedyTokens.data);

  it("continues a checkpoint folder of fla's with the tokens that fla generates", async () => {
    const result = await generate(folder, '--prompt-ids', prompt, '--tokens', String(tokens.length));
    expect(result).toEqual({ code: 0, stdout: tokens.join(','), stderr: '' });
  });

  it('draws the same tokens for the same seed', async () => {
    const draw = (seed: string) =>
      generate(folder, '--prompt-ids', prompt, '--tokens', '8', '--temperature', '2', '--seed', seed);
    const [one, again, other] = [await draw('1'), await draw('1'), await draw('2')];
    expect(again).toEqual(one);
    expect(other.stdout).not.toBe(one.stdout);
  });

  it('says that a model has no tokenizer', async () => {
    const { code, stderr } = await generate(folder, '--prompt', 'Hello');
    expect(code).toBe(2);
    expect(stderr).toMatch(/--prompt: .* has no tokenizer.\nfix: Pass token ids with --prompt-ids/);
  });

  it('refuses token ids outside of the vocabulary', async () => {
    const { code, stderr } = await generate(folder, '--prompt-ids', '1,99999');
    expect(code).toBe(1);
    expect(stderr).toMatch(/99999/);
  });

  it('refuses a truncated checkpoint, naming the file', async () => {
    const copy = join(temporaryFolder(), 'mom');
    cpSync(folder, copy, { recursive: true, mode: 0 });
    truncateSync(join(copy, 'model.safetensors'), 5000);
    const { code, stderr } = await generate(copy, '--prompt-ids', '1');
    expect(code).toBe(1);
    expect(stderr).toContain(`error: ${join(copy, 'model.safetensors')}: `);
  });

  it('continues text with a run of its own', async () => {
    const run = join(temporaryFolder(), 'text');
    const text = checkConfig({
      backend: 'wasm',
      task: { kind: 'text', file: import.meta.filename, tokens: 16 },
      model: { width: 8, layers: 1, keyWidth: 4, memories: 2, topK: 1 },
      training: { steps: 1, batch: 2, evalSequences: 2 },
    });
    mkdirSync(run);
    await createRunFolder(run, text);
    await runJob(run, text, { screen: { write: () => {} }, build: buildParts });
    const { stdout, stderr } = await generate(run, '--prompt', 'const', '--tokens', '5');
    expect(stderr).toBe('');
    expect(stdout.startsWith('const')).toBe(true);
    expect(stdout.length).toBeGreaterThan('const'.length);
  });
});
