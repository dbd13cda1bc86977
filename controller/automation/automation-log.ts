/** What pino offers; messages and facts, never values of a target. */
export interface AutomationLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}
