/** The rules that run, of files of which some may have an error: those keep what they had before. Pure. */
import type { Rule } from './rule.js';
import { renderRuleError, type RuleCheck, type RuleError } from './rules-file.js';

export interface RunningRules {
  readonly rules: readonly Rule[];
  readonly brokenFiles: readonly BrokenFile[];
  /** No rule is unknown: each file is as it should be, or was so before. */
  readonly isComplete: boolean;
}

export interface BrokenFile {
  readonly file: string;
  readonly error: RuleError;
  /** The first error, and how many there are. */
  readonly text: string;
  /** Its rules run as they were before. */
  readonly hasRules: boolean;
}

export class RuleSet {
  readonly #good = new Map<string, readonly Rule[]>();

  apply({ files }: RuleCheck): RunningRules {
    const present = new Set(files.map(({ file }) => file));
    for (const file of this.#good.keys()) if (!present.has(file)) this.#good.delete(file);
    const broken: BrokenFile[] = [];
    for (const { file, rules, errors } of files) {
      const [error] = errors;
      if (error === undefined) this.#good.set(file, rules);
      else {
        const more = errors.length === 1 ? '' : ` (and ${errors.length - 1} more errors)`;
        const hasRules = (this.#good.get(file)?.length ?? 0) > 0;
        broken.push({ file, error, text: `${renderRuleError(error)}${more}`, hasRules });
      }
    }
    const isBroken = new Set(broken.map(({ file }) => file));
    const running = new Map<string, Rule>();
    // A rule that moved to another file runs as it stands there.
    for (const part of [false, true]) {
      for (const [file, rules] of this.#good) {
        if (isBroken.has(file) !== part) continue;
        for (const rule of rules) if (!running.has(rule.name)) running.set(rule.name, rule);
      }
    }
    return {
      rules: [...running.values()],
      brokenFiles: broken,
      isComplete: broken.every(({ file }) => this.#good.has(file)),
    };
  }
}
