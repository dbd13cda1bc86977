/** `stillframe`: parses, runs, and turns what went wrong into a message and an exit status. */
import { CommanderError } from 'commander';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { reportError } from './command.js';
import { exitStatus } from './exit-status.js';
import { makeProgram } from './program.js';

// Who reads may have heard enough: `stillframe show last | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitStatus.done);
  throw error;
});

async function run(): Promise<void> {
  const program = makeProgram();
  try {
    if (process.argv.length <= 2) program.outputHelp();
    else await program.parseAsync();
  } catch (thrown) {
    const wantsJson = process.argv.includes('--json');
    if (thrown instanceof CommanderError) {
      // Help and version were asked for and are printed.
      if (thrown.exitCode !== 0) reportError(usageError(thrown), wantsJson);
    } else {
      reportError(toStillframeError(thrown), wantsJson);
    }
  }
}

function usageError({ message }: CommanderError): StillframeError {
  const [first = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const hint =
    suggestion === undefined
      ? 'stillframe --help lists the commands'
      : suggestion.replace(/^\((.*)\)$/, '$1');
  return new StillframeError('usage', first, { hint });
}

// NB: not awaited at the top: the bundle is of CommonJS, which starts faster and knows no such thing.
void run();
