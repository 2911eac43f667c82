// Why some cells cost what they cost on the CPU.
import type { CellName } from '@mnemix/cells';

export const costNotes: Partial<Record<CellName, string>> = {};
