// The presets by name. A new one is a file here and a line below.
import type { ConfigInput } from '../config.ts';
import { bmojoF } from './bmojo-f.ts';
import { bmojo } from './bmojo.ts';
import { hybrid } from './hybrid.ts';
import { recall } from './recall.ts';
import { text } from './text.ts';

export const presets: Readonly<Record<string, ConfigInput>> = {
  recall,
  bmojo,
  'bmojo-f': bmojoF,
  hybrid,
  text,
};
