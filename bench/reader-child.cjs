// reader-child.ts, started as the commands are.
// usage: node bench/reader-child.cjs PROGRAM FUNCTION FILE:LINE [--again]
const path = require('node:path');
const root = path.join(__dirname, '..');
if (!require('../bin/bundled.js').startBundle(path.join(root, 'dist'), 'bench/reader-child.js')) {
  throw new Error('there is no bundle: run `npm run build`');
}
