import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { runCommand } from '../src/run-command.ts';
import { temporaryFolder } from './folder.ts';

vi.setConfig({ testTimeout: 30_000 });

const folder = temporaryFolder();

/** What the command line prints, and what it exits with. */
async function mnemix(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const printed = { stdout: '', stderr: '' };
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => !!(printed.stdout += text));
  vi.spyOn(console, 'log').mockImplementation((text) => void (printed.stdout += `${text}\n`));
  vi.spyOn(console, 'error').mockImplementation((text) => void (printed.stderr += `${text}\n`));
  const code = await runCommand(words);
  vi.restoreAllMocks();
  return { code, ...printed };
}

const tiny = [
  '--backend',
  'cpu',
  '--steps',
  '2',
  '--batch',
  '4',
  '--set',
  'task.pairs=2',
  '--set',
  'task.tokens=8',
  '--set',
  'model.width=8',
  '--set',
  'model.keyWidth=4',
  '--set',
  'training.evalSequences=8',
  '--set',
  'optimizer.warmupSteps=0',
];

describe('the command line', () => {
  it('explains itself', async () => {
    const { code, stdout } = await mnemix('--help');
    expect(code).toBe(0);
    for (const command of ['train', 'resume', 'eval', 'generate', 'doctor'])
      expect(stdout).toContain(command);
  });

  it('trains, evaluates and refuses to write over a run', async () => {
    const out = join(folder, 'tiny');
    const trained = await mnemix('train', 'recall', ...tiny, '--set', 'beside={}', '--out', out);
    expect(trained).toMatchObject({ code: 0, stderr: '' });
    for (const part of [
      /device +cpu/,
      /parameters +\S+, of which/,
      /state +/,
      /4 × 8 = 32 tokens/,
      /unseen accuracy/,
      /mom: each token uses [\d,]+ of [\d,]+ parameters, and reads and writes [\d,]+ of the [\d,]+ bytes of state/,
    ]) {
      expect(trained.stdout).toMatch(part);
    }
    const parts = 'checkpoints config.json curves.svg device.json log.jsonl result.json tensorboard'.split(
      ' ',
    );
    expect(readdirSync(out).sort()).toEqual(parts);

    const evaluated = await mnemix('eval', out, '--backend', 'cpu', '--sequences', '8');
    expect(evaluated.stdout).toMatch(/accuracy +\S+ % of 16 targets/);

    const again = await mnemix('train', 'recall', ...tiny, '--out', out);
    expect(again).toMatchObject({ code: 2, stdout: '' });
    expect(again.stderr).toBe(
      `error: ${out}: holds a run already.\nfix: Continue it with \`mnemix resume ${out}\`, or name another folder.\n`,
    );
  });

  it.each<[name: string, args: string[], code: number, where: string]>([
    ['no such command', ['trian'], 2, 'mnemix'],
    ['an unknown flag', ['train', '--stepz', '3'], 2, 'mnemix train'],
    ['a flag of the wrong type', ['train', '--steps', 'many'], 2, 'training.steps (--steps)'],
    ['topK > memories', ['train', '--top-k', '5'], 2, 'model.topK (--top-k)'],
    [
      'sizes that do not fit the cell',
      ['train', '--cell', 'retnet', '--set', 'model.keyWidth=7'],
      2,
      'model.cell (--cell): retNet(heads)',
    ],
    ['a text file that is not there', ['train', 'text', '--file', 'no.txt'], 1, 'no.txt'],
    ['a run folder that is none', ['resume', '.'], 2, '.'],
    ['a checkpoint that is not there', ['eval', 'nowhere'], 2, 'nowhere'],
    ['no prompt', ['generate', 'nowhere'], 2, 'mnemix generate'],
    [
      'a prompt of words where ids are due',
      ['generate', 'nowhere', '--prompt-ids', '1,x'],
      2,
      '--prompt-ids',
    ],
    ['no model', ['generate', 'nowhere', '--prompt-ids', '1'], 2, 'nowhere'],
    [
      'a temperature below zero',
      ['generate', 'nowhere', '--prompt-ids', '1', '--temperature', '-1'],
      2,
      '--temperature',
    ],
  ])('says what is wrong and what to do, without a stack: %s', async (_, args, code, where) => {
    const out = join(folder, 'never');
    const result = await mnemix(...args, ...(args[0] === 'train' ? ['--out', out] : []));
    expect(result.code).toBe(code);
    expect(result.stderr.startsWith(`error: ${where}: `), result.stderr).toBe(true);
    expect(result.stderr).toMatch(/^fix: \S/m);
    expect(result.stderr).not.toContain('    at ');
    expect(existsSync(out)).toBe(false);
  });

  it('never writes into a folder that holds something else', async () => {
    const foreign = join(folder, 'foreign');
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'diary.txt'), 'mine');
    expect(await mnemix('train', ...tiny, '--out', foreign)).toMatchObject({ code: 2 });
    expect(readdirSync(foreign)).toEqual(['diary.txt']);
  });

  it('refuses a text file that is empty', async () => {
    const path = join(folder, 'empty.txt');
    writeFileSync(path, '');
    const { code, stderr } = await mnemix('train', 'text', '--file', path, '--out', join(folder, 'never'));
    expect(code).toBe(1);
    expect(stderr).toContain(`error: ${path}: the file is empty.`);
  });

  it('names the path where the system refuses to write', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const { code, stderr } = await mnemix('train', 'recall', ...tiny, '--out', join(file, 'run'));
    expect(code).not.toBe(0);
    expect(stderr).toContain(`error: ${file}`);
    expect(stderr).toMatch(/^fix: \S/m);
  });

  it('shows the stack with --debug', async () => {
    const { stderr } = await mnemix('--debug', 'resume', '.');
    expect(stderr).toContain('    at ');
  });
});
