/**
 * The one piece of machine code that the agent makes: it goes through a list of records (call-batch.ts) and makes the system call of each. It decides
 * nothing by itself, allocates nothing, and returns after as many records as it is told at most. `docs/engines.md`, "ptrace", says why it is there.
 * Called as `twalk` calls for the one node of a tree (search.h): the node in `rdi`. System V psABI 3.2.1; system calls: psABI A.2.1.
 */

/** Instructions with their bytes. test/agent/linux/call-batch.test.ts has the assembler say the same. */
export const batchInstructions: readonly (readonly [assembly: string, bytes: string])[] = [
  ['push %rbx', '53'],
  ['mov 0x18(%rdi), %rbx', '488b5f18'], // the record
  ['mov 0x20(%rdi), %r8', '4c8b4720'], // how many more
  ['push %r8', '4150'],
  ['push %rdi', '57'],
  ['next: decq 0x8(%rsp)', '48ff4c2408'],
  ['js over', '7877'],
  ['mov (%rbx), %rax', '488b03'],
  ['test %rax, %rax', '4885c0'],
  ['js own', '781c'],
  ['mov 0x8(%rbx), %rdi', '488b7b08'],
  ['mov 0x10(%rbx), %rsi', '488b7310'],
  ['mov 0x18(%rbx), %rdx', '488b5318'],
  ['mov 0x20(%rbx), %r10', '4c8b5320'],
  ['mov 0x28(%rbx), %r8', '4c8b4328'],
  ['mov 0x30(%rbx), %r9', '4c8b4b30'],
  ['syscall', '0f05'],
  ['jmp done', 'eb32'],
  ['own: mov 0x10(%rbx), %rdx', '488b5310'],
  ['cmp $-1, %rax', '4883f8ff'],
  ['je copy', '7416'],
  ['cmp $-2, %rax', '4883f8fe'],
  ['jne over', '7543'],
  ['mov (%rdx), %rax', '488b02'],
  ['and 0x18(%rbx), %rax', '48234318'],
  ['mov 0x20(%rbx), %rcx', '488b4b20'],
  ['sub (%rcx), %rax', '482b01'],
  ['jmp done', 'eb12'],
  ['copy: mov (%rdx), %rax', '488b02'],
  ['add 0x18(%rbx), %rax', '48034318'],
  ['and 0x20(%rbx), %rax', '48234320'],
  ['mov 0x8(%rbx), %rdx', '488b5308'],
  ['mov %rax, (%rdx)', '488902'],
  ['done: mov %rax, 0x38(%rbx)', '48894338'],
  ['lea 0x40(%rbx), %rdx', '488d5340'], // where it goes on: negative, zero, positive
  ['test %rax, %rax', '4885c0'],
  ['js go', '780a'],
  ['lea 0x4(%rdx), %rdx', '488d5204'],
  ['je go', '7404'],
  ['add $0x4, %rdx', '4883c204'],
  ['go: movslq (%rdx), %rax', '486302'],
  ['lea 0x50(%rbx,%rax), %rbx', '488d5c0350'],
  ['jmp next', 'eb82'],
  ['over: pop %rdi', '5f'],
  ['pop %rax', '58'],
  ['mov %rbx, 0x28(%rdi)', '48895f28'], // where it ended
  ['pop %rbx', '5b'],
  ['ret', 'c3'],
];

/**
 * What a signal that only ends a wait runs, and how it returns (rt_sigreturn(2)): the kernel calls the first, which returns to the second.
 */
export const handlerInstructions: readonly (readonly [assembly: string, bytes: string])[] = [
  ['ret', 'c3'],
  ['mov $0xf, %eax', 'b80f000000'],
  ['syscall', '0f05'],
];
