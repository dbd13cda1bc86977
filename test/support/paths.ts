import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout; tests run from dist/test/support. */
export const repositoryRoot: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
/** Where built programs and sources that tests fetched are kept between runs; not under version control. */
export const cacheFolder: string = join(repositoryRoot, '.cache');
/** Starts programs that are named by their module in `dist`, from few files where they are joined (`bin/bundle.mjs`). */
export const programStarter: string = join(repositoryRoot, 'bin', 'start.js');
