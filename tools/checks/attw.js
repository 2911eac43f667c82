// Resolves the types of every package as published, the way that Node and bundlers do ("are the types wrong?").
import { checkTarballs } from './packages.js';

checkTarballs('attw', ['', '--profile', 'esm-only']);
