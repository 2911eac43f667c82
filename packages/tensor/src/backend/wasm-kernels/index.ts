// Kernels of tfjs's WASM backend that are missing, wrong or slow, replaced under their own names.
import { installCopyKernels } from './copy.ts';
import { installElementwiseKernels } from './elementwise.ts';
import { installMatMulKernel } from './mat-mul.ts';
import { installReduceKernels } from './reduce.ts';
import { installSharingKernels } from './share.ts';

let installed = false;

/** Call once tfjs's kernels are registered and before the backend is set up. Does nothing the second time. */
export function installWasmKernels(): void {
  if (installed) return;
  installed = true;
  installMatMulKernel();
  installCopyKernels();
  installElementwiseKernels();
  installReduceKernels();
  installSharingKernels();
}
