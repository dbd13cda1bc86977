/** Which eBPF links this process holds, by what the kernel says of its descriptors: others on the host have links too. */
import { readdirSync, readFileSync } from 'node:fs';

export function heldLinkIds(): number[] {
  return readdirSync('/proc/self/fdinfo').flatMap((fd) => {
    try {
      const id = /^link_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
      return id === undefined ? [] : [Number(id)];
    } catch {
      // The descriptor of this very listing.
      return [];
    }
  });
}
