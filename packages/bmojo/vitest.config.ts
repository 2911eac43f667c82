export { default } from '../../tools/config/vitest.ts';
