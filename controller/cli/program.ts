/** The command line: every command with its options, help and completion. Parsing only; each command is in a file of its own. */
import tab from '@bomb.sh/tab/commander';
import { Command } from 'commander';
import { addIncidentCommands } from './incident-commands.js';
import { addCoreCommand } from './core-command.js';
import { addDiffCommand } from './diff-command.js';
import { addLookCommands } from './look-commands.js';
import { addLogCommand } from './log-command.js';
import { addMetricCommand } from './metric-command.js';
import { addPointCommands } from './point-commands.js';
import { addRulesCommands } from './rules-commands.js';
import { addSnapshotCommands } from './snapshot-commands.js';
import { addWatchCommand } from './watch-command.js';
import { reportError } from './command.js';
import { StillframeError, toStillframeError } from '../../format/error.js';

export function makeProgram(): Command {
  const program = new Command('stillframe')
    .description(
      'snapshots of live native services: the stack and the variables of a line, the process never stopped',
    )
    .version('0.1.0')
    .option('--json', 'results as JSON, a document a line')
    .option('--agent <address>', 'the agent: unix:PATH or HOST:PORT (or STILLFRAME_AGENT)')
    .option(
      '--controller <address>',
      'a controller that others share: unix:PATH or HOST:PORT (or STILLFRAME_CONTROLLER)',
    )
    .option('--tls-cert <file>', 'certificate, for agents and controllers on other hosts')
    .option('--tls-key <file>', 'its key')
    .option('--tls-ca <file>', 'authority that signed their certificates')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeErr: () => undefined })
    .exitOverride()
    .addHelpText(
      'after',
      "\nExamples:\n  stillframe targets\n  stillframe snap 1234 orders.c:70 --if 'order->total > 10000'\n  stillframe eval last 'order->customer->name'",
    );
  program
    .command('agent', { hidden: false })
    .description('look into processes of this host, for controllers (stillframe agent --help)')
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments();
  program
    .command('controller', { hidden: false })
    .description(
      'hold points, snapshots and rules for everybody, over many agents (stillframe controller --help)',
    )
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments();
  addLookCommands(program);
  addPointCommands(program);
  addWatchCommand(program);
  addLogCommand(program);
  addMetricCommand(program);
  addCoreCommand(program);
  addSnapshotCommands(program);
  addRulesCommands(program);
  addIncidentCommands(program);
  addDiffCommand(program);
  program
    .command('demo')
    .description('builds the sample service, runs it, takes a snapshot of it')
    .option('--automation', 'instead: an error rate rises, an alert fires, a rule takes the snapshots')
    .option('--without-prometheus', 'with --automation: the error rate from a metric point alone')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe demo\n  stillframe demo --automation\n  stillframe demo --automation --without-prometheus',
    )
    .action(async (options: { readonly automation?: true; readonly withoutPrometheus?: true }) => {
      try {
        const withoutPrometheus = options.withoutPrometheus === true;
        if (withoutPrometheus && options.automation !== true) {
          throw new StillframeError('usage', '--without-prometheus goes with --automation');
        }
        process.exitCode = await demo(options.automation === true, withoutPrometheus);
      } catch (error) {
        reportError(toStillframeError(error), false);
      }
    });
  tab(program);
  return program;
}

/** NB: what only one command needs is imported when that is run: every module costs every command its start. */
async function demo(automation: boolean, withoutPrometheus: boolean): Promise<number> {
  if (!automation) return await (await import('./demo.js')).runDemo();
  const { runAutomationDemo } = await import('./demo-automation/story.js');
  return await runAutomationDemo({ withoutPrometheus });
}
