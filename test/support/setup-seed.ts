/** Before each test file: properties take their seed from {@link testSeed}. */
import { configureGlobal } from 'fast-check';
import { testSeed } from './seed.js';

configureGlobal({ seed: testSeed() });
