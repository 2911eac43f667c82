// The properties of every cell, from one table of cells × properties.
import { openBackend } from '@mnemix/tensor';
import { beforeAll } from 'vitest';
import { cellCases } from './cases.ts';
import { describeProperties } from './property-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

describeProperties(cellCases);
