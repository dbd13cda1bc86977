/** Commands that look at what can be done: doctor, targets, explain. */
import type { Command } from 'commander';
import { StillframeError } from '../../format/error.js';
import { parseDuration } from './arguments.js';
import { addPointOptions, cheapOption, pointOptionsFrom, runCommand, type PointFlags } from './command.js';
import { renderExplanation } from './render-explain.js';
import { renderDoctor, renderMeasured, renderTargets } from './render-lists.js';
import type { SharedOptions } from './workplace.js';
import { clean, colors } from './style.js';
import type { ExplainDocument, ExplainedTarget } from '../service/documents.js';
import { exitStatus } from './exit-status.js';

export function addLookCommands(program: Command): void {
  program
    .command('doctor')
    .description('what each host allows, engine by engine, and how to allow more')
    .addHelpText('after', '\nExamples:\n  stillframe doctor\n  stillframe doctor --json | jq .engines')
    .action(async (_: unknown, command: Command) => {
      await runCommand(command.optsWithGlobals<SharedOptions>(), async ({ controller, output }) => {
        const doctors = await controller.doctor();
        if (doctors.length === 0) {
          throw new StillframeError('unreachable', 'no agent is connected to this controller', {
            hint: 'start one with `stillframe agent`, and name it to the controller with --agent, or let it --dial',
          });
        }
        for (const [i, doctor] of doctors.entries()) {
          output.result(doctor, () => `${i === 0 ? '' : '\n'}${renderDoctor(doctor)}`);
        }
        if (doctors.every(({ error }) => error !== undefined)) return exitStatus.unreachable;
        const engines = doctors.flatMap((doctor) => doctor.engines);
        return engines.some(({ supported }) => supported === 'yes') ? exitStatus.done : exitStatus.denied;
      });
    });

  program
    .command('targets')
    .description('the processes that can be looked into')
    .argument('[target]', 'only those that fit: PID, name:, exe:, unit:, container:, service:')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe targets\n  stillframe targets name:redis-server\n  stillframe targets unit:redis.service --json',
    )
    .action(async (target: string | undefined, _: unknown, command: Command) => {
      await runCommand(command.optsWithGlobals<SharedOptions>(), async ({ controller, output }) => {
        const targets = await controller.targets(target);
        if (output.json) for (const each of targets) output.result(each, () => '');
        else output.text(renderTargets(targets));
      });
    });

  addPointOptions(
    program
      .command('explain')
      .description('dry run: every address, the variables there, the plan, what a hit costs')
      .argument('<target>', 'PID, name:, exe:, unit:, container:, service:')
      .argument('<location>', 'file.c:42, function, *0x401136, lib.so!function'),
  )
    .option(...cheapOption)
    .option('--measure <duration>', 'count hits for so long')
    .option('--watch', 'the location is a variable: what a watch of it would be')
    .addHelpText(
      'after',
      "\nExamples:\n  stillframe explain 1234 orders.c:70\n  stillframe explain name:redis-server setGenericCommand --if 'c->argc == 3' --measure 2s",
    )
    .action(async (target: string, location: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<PointFlags & { measure?: string; watch?: boolean }>();
      await runCommand(flags, async ({ controller, output }) => {
        const point = pointOptionsFrom(target, location, flags);
        const measureMs = flags.measure === undefined ? undefined : parseDuration('--measure', flags.measure);
        const explained = await controller.explain({
          ...point,
          ...(measureMs === undefined ? {} : { measureMs }),
          ...(flags.watch === true ? { watch: { onlyChanges: false } } : {}),
        });
        output.result(explained, () => explainText(explained));
      });
    });
}

function processText({ host, pid, name }: ExplainedTarget): string {
  return `${pid} ${clean(name)}${host === undefined ? '' : `@${clean(host)}`}`;
}

function explainText(explained: ExplainDocument): string {
  const lines = [`${colors.bold('targets')}  ${explained.targets.map(processText).join(', ')}`];
  for (const { reason, ...left } of explained.leftOut ?? []) {
    lines.push(colors.yellow(`left out: ${processText(left)}: ${clean(reason)}`));
  }
  lines.push('', renderExplanation(explained));
  const candidates = explained.sites.some(({ condition }) => condition?.decision !== undefined);
  if (explained.measured !== undefined) lines.push('', renderMeasured(explained.measured, candidates));
  return lines.join('\n');
}
