/**
 * A file system (FUSE) that answers nothing: who opens a file of it waits, first so that a signal would wake it, and from the first signal on uninterruptibly. Disposal
 * ends the wait with an error, and takes the file system away.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileC } from '../../../support/compile-c.js';
import { startProgram } from '../../../support/running-program.js';

const daemon = compileC(
  `#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <unistd.h>
int main(int argc, char **argv) {
  char options[128];
  static char request[1 << 20];
  int fd = open("/dev/fuse", O_RDWR);
  if (argc < 2 || fd < 0) return 2;
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
  if (mount("mute", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0) return 3;
  while (read(fd, request, sizeof request) > 0) {
    struct fuse_in_header *in = (struct fuse_in_header *)request;
    if (in->opcode != FUSE_INIT) continue;
    struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 4096 };
    struct fuse_out_header out = { sizeof out + sizeof init, 0, in->unique };
    struct iovec parts[2] = { { &out, sizeof out }, { &init, sizeof init } };
    if (writev(fd, parts, 2) < 0) return 4;
    puts("mounted"); fflush(stdout);
  }
  return 0;
}
`,
  { name: 'mute' },
);

export interface MuteFileSystem extends AsyncDisposable {
  /** In its folder, which nobody can look into. */
  readonly file: string;
}

export async function mountMute(): Promise<MuteFileSystem> {
  const folder = mkdtempSync(join(tmpdir(), 'stillframe-mute-'));
  const program = startProgram(daemon, [folder]);
  await program.nextLine();
  return {
    file: join(folder, 'file'),
    async [Symbol.asyncDispose]() {
      // Without its daemon the kernel gives up what waits.
      await program[Symbol.asyncDispose]();
      execFileSync('umount', ['--lazy', folder]);
      rmdirSync(folder);
    },
  };
}
