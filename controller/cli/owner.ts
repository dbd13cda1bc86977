/** Who asks, for those who look at points and incidents later: `user@host`. It says a name and proves nothing. */
import { hostname, userInfo } from 'node:os';

export function defaultOwner(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may have a user without a name.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
