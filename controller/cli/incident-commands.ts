/** Commands on what rules brought in: incidents, and one of them. */
import type { Command } from 'commander';
import { parseSince } from './arguments.js';
import { runCommand } from './command.js';
import { renderIncident, renderIncidents } from './render-incident.js';
import { bytesText, clean } from './style.js';
import type { SharedOptions } from './workplace.js';

const incidentArgument = 'an id, a prefix of one, or last';

export function addIncidentCommands(program: Command): void {
  const incidents = program
    .command('incidents')
    .description('what rules brought in: one incident for each firing')
    .option('--rule <name>', 'only those of this rule')
    .option('--since <duration>', 'only those of the last so long, or since a time')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe incidents --since 24h\n  stillframe incidents show last\n  stillframe incidents export last -o incident.tar',
    )
    .action(async (_: unknown, command: Command) => {
      const flags = command.optsWithGlobals<SharedOptions & { rule?: string; since?: string }>();
      await runCommand(flags, async ({ controller, output }) => {
        const found = await controller.incidents({
          ...(flags.rule === undefined ? {} : { rule: flags.rule }),
          ...(flags.since === undefined
            ? {}
            : { sinceMs: Number(parseSince(flags.since, Date.now()) / 1_000_000n) }),
        });
        if (output.json) for (const incident of found) output.result(incident, () => '');
        else output.text(renderIncidents(found));
      });
    });

  incidents
    .command('show')
    .description('what fired, what was armed where, the snapshots by stack, what differs between them')
    .argument('<incident>', incidentArgument)
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe incidents show last\n  stillframe incidents show 0t3k --json',
    )
    .action(async (id: string, _: unknown, command: Command) => {
      await runCommand(command.optsWithGlobals<SharedOptions>(), async ({ controller, output }) => {
        const incident = await controller.incident(id);
        output.result(incident, () => renderIncident(incident));
      });
    });

  incidents
    .command('export')
    .description('all of an incident in one archive: the document, and the core files of its snapshots')
    .argument('<incident>', incidentArgument)
    .requiredOption('-o, --output <file>', 'where to write it')
    .addHelpText('after', '\nExamples:\n  stillframe incidents export last -o incident.tar')
    .action(async (reference: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<SharedOptions & { output: string }>();
      await runCommand(flags, async ({ controller, output }) => {
        const { id, bytes } = await controller.exportIncident(reference, flags.output);
        output.result(
          { id, file: flags.output, bytes },
          () => `wrote ${clean(flags.output)}, ${bytesText(bytes)}`,
        );
      });
    });
}
