// Lints the manifest and files of every package as published.
import { checkTarballs } from './packages.js';

checkTarballs('publint', ['run', '--strict']);
