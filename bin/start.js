// Starts a program that another one needs beside itself, and that nobody starts by hand: the tracer of an agent, and what tests start by
// the hundred. usage: node bin/start.js MODULE [ARGUMENT]... where MODULE is named as it lies in dist.
'use strict';
const { dirname, join } = require('node:path');
const { start } = require('./bundled.js');

const [program] = process.argv.splice(2, 1);
start(join(dirname(__dirname), 'dist'), program);
