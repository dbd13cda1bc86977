/** Commands on rules: check a file, list what a controller runs, test one, fire one. */
import type { Command } from 'commander';
import { StillframeError } from '../../format/error.js';
import { collect, runCommand, runLocally } from './command.js';
import { exitStatus } from './exit-status.js';
import { defaultOwner } from './owner.js';
import { renderFiring, renderRules, renderRuleTest } from './render-rules.js';
import type { SharedOptions } from './workplace.js';

export function addRulesCommands(program: Command): void {
  const rules = program
    .command('rules')
    .description('when something happens, set points: check, list, test, fire')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe rules check rules.yaml\n  stillframe rules ls\n  stillframe rules test error-rate\n  stillframe rules fire error-rate --label job=shop',
    );

  rules
    .command('check')
    .description('what is wrong with a rules file, with line and column; no controller is needed')
    .argument('<path>', 'a file, or a folder of them')
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe rules check rules.yaml\n  stillframe rules check /etc/stillframe/rules --json',
    )
    .action(async (path: string, _: unknown, command: Command) => {
      await runLocally(command.optsWithGlobals<SharedOptions>(), async (output) => {
        const { checkRules } = await import('../automation/rules-file.js');
        const { renderRuleCheck, ruleFileDocument } = await import('./render-rule-check.js');
        const check = checkRules(path);
        if (output.json) for (const file of check.files) output.result(ruleFileDocument(file), () => '');
        else output.text(renderRuleCheck(check));
        return check.errors.length === 0 ? exitStatus.done : exitStatus.badInput;
      });
    });

  rules
    .command('ls')
    .description('the rules that a controller runs, their state, and why')
    .addHelpText('after', '\nExamples:\n  stillframe rules ls\n  stillframe rules ls --json')
    .action(async (_: unknown, command: Command) => {
      await runCommand(command.optsWithGlobals<SharedOptions>(), async ({ controller, output }) => {
        const found = await controller.rules();
        if (output.json) for (const rule of found) output.result(rule, () => '');
        else output.text(renderRules(found));
      });
    });

  rules
    .command('test')
    .description('a dry run: what the rule would do now')
    .argument('<name>', 'of the rule')
    .addHelpText('after', '\nExamples:\n  stillframe rules test error-rate')
    .action(async (name: string, _: unknown, command: Command) => {
      await runCommand(command.optsWithGlobals<SharedOptions>(), async ({ controller, output }) => {
        const test = await controller.testRule(name);
        output.result(test, () => renderRuleTest(test));
        const isSound = test.trigger.ok && test.steps.every(({ ok }) => ok);
        return isSound ? exitStatus.done : exitStatus.badInput;
      });
    });

  rules
    .command('fire')
    .description('fire a rule by hand; its bounds hold as they do for its trigger')
    .argument('<name>', 'of the rule')
    .option('--label <name=value>', 'fills the templates of the rule; may be given again', collect)
    .addHelpText(
      'after',
      '\nExamples:\n  stillframe rules fire error-rate --label job=shop --label instance=web-1',
    )
    .action(async (name: string, _: unknown, command: Command) => {
      const flags = command.optsWithGlobals<SharedOptions & { label?: readonly string[] }>();
      await runCommand(flags, async ({ controller, output }) => {
        const labels = parseLabels(flags.label ?? []);
        const firing = await controller.fireRule(name, { labels, owner: defaultOwner() });
        output.result(firing, () => renderFiring(firing));
        return firing.fired ? exitStatus.done : exitStatus.denied;
      });
    });
}

function parseLabels(texts: readonly string[]): Readonly<Record<string, string>> {
  const labels = texts.map((text): [string, string] => {
    const split = text.indexOf('=');
    if (split > 0) return [text.slice(0, split), text.slice(split + 1)];
    throw new StillframeError('usage', `--label: "${text}" is no label`, {
      hint: 'a name and a value, for example --label job=shop',
    });
  });
  return Object.fromEntries(labels);
}
