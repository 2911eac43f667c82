import { MnemixError } from '@mnemix/tensor';
import { expect, it, vi } from 'vitest';
import { onFreshDevices } from '../src/lost-device.ts';

const failure = (code: 'lost' | 'kernel') =>
  new MnemixError({ code, where: 'webgpu', message: `the device was ${code}.`, fix: 'Start again.' });

it('a run whose device is lost is told of it and runs again on another', async () => {
  const [open, note] = [vi.fn(async () => {}), vi.fn()];
  const run = vi.fn(async (losses: number) => {
    if (losses < 2) throw failure('lost');
    return 'done';
  });
  expect(await onFreshDevices(run, { open, note })).toBe('done');
  expect(open).toHaveBeenCalledTimes(2);
  expect(note.mock.calls).toEqual([
    ['warning     webgpu: the device was lost. Opening a fresh one (1 of at most 3).'],
    ['warning     webgpu: the device was lost. Opening a fresh one (2 of at most 3).'],
  ]);
});

it('a run whose device is lost every time ends with the loss', async () => {
  const open = vi.fn(async () => {});
  const run = vi.fn(async () => Promise.reject(failure('lost')));
  await expect(onFreshDevices(run, { open, note: () => {} })).rejects.toMatchObject({ code: 'lost' });
  expect(run).toHaveBeenCalledTimes(4);
  expect(open).toHaveBeenCalledTimes(3);
});

it('a run that fails in another way fails', async () => {
  const open = vi.fn(async () => {});
  await expect(
    onFreshDevices(() => Promise.reject(failure('kernel')), { open, note: () => {} }),
  ).rejects.toMatchObject({ code: 'kernel' });
  expect(open).not.toHaveBeenCalled();
});
