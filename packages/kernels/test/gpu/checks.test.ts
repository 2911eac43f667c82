import { expect, it } from 'vitest';
import { checkLater, settleChecks, throwFailed } from '../../src/gpu/checks.ts';

const device = () => ({}) as GPUDevice;
const failure = (name: string) => Object.assign(new Error(name), { name: 'MnemixError' }) as never;

it('throws the first error found, at each call from then on', async () => {
  const gpu = device();
  checkLater(gpu, async () => undefined);
  await settleChecks(gpu);
  checkLater(gpu, async () => failure('first'));
  checkLater(gpu, async () => failure('second'));
  for (let i = 0; i < 3; i++) await expect(settleChecks(gpu)).rejects.toThrow('first');
  expect(() => throwFailed(gpu)).toThrow('first');
  expect(() => throwFailed(device())).not.toThrow();
});

it('takes a check that gets no answer for a failure of the device', async () => {
  const gpu = device();
  checkLater(gpu, () => Promise.reject(new Error('lost')));
  for (let i = 0; i < 2; i++) {
    await expect(settleChecks(gpu)).rejects.toMatchObject({ code: 'backend', cause: new Error('lost') });
  }
});
