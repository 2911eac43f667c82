// Imported first by every command: stops with a clear message where Node is too old for the rest.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const supported = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major >= 24;

if (!supported) {
  console.error(
    'mnemix needs Node 20.19 or newer (22.12 or newer of the 22 line); this is ' +
      process.version +
      '.\nInstall a current version from https://nodejs.org and run the command again.',
  );
  process.exit(1);
}
