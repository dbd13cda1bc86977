/**
 * The commands that people wait for, one after another in one process and with nothing printed: the build runs them to have V8's code of what
 * they need (bin/bundle.mjs). Each ends as it ends for a user; one that fails fails the build.
 */
import { makeProgram } from './program.js';

async function warmUp([core, program]: readonly string[]): Promise<void> {
  const { stdout } = process;
  const write = stdout.write.bind(stdout);
  stdout.write = () => true;
  const run = async (...words: string[]): Promise<void> => {
    await makeProgram().parseAsync(words, { from: 'user' });
    if (process.exitCode !== undefined && process.exitCode !== 0)
      throw new Error(`"stillframe ${words.join(' ')}" failed with ${process.exitCode}`);
  };
  try {
    // There is no agent to talk to: what such commands load first is all that can be had of them.
    await Promise.all([import('../service/agent.js'), import('../rpc/controller-client.js')]);
    if (core === undefined || program === undefined) return;
    await run('show', core, '--all-threads');
    await run('--json', 'show', core);
    const inner = ['--frame', '1'];
    await run('eval', core, 'kept + 1', 'own', '&own', 'own.flags * 2', 'own.city', ...inner);
    await run('--json', 'eval', core, 'own.tier == GOLD', '$rip', 'sizeof(long)', 'own.balance', ...inner);
  } finally {
    stdout.write = write;
  }
}

void warmUp(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
