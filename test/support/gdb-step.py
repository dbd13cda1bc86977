# Steps a program one instruction at a time from main to its end and writes, for each, the registers, the frames that gdb sees and the
# stack around them: a line of JSON each. Run by gdb on the program; $dump is the output, $every takes each n-th instruction only,
# $outside how many instructions of other modules are taken in a row before it runs on to the program's own code.
import base64
import json

import gdb

KINDS = {
    gdb.NORMAL_FRAME: "normal",
    gdb.INLINE_FRAME: "inline",
    gdb.SIGTRAMP_FRAME: "signal",
    gdb.TAILCALL_FRAME: "tailcall",
}
NAMES = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip".split()
SAVED = "rbx rbp rsp r12 r13 r14 r15 rip".split()
MAX_FRAMES = 64


def number(name, default):
    value = gdb.convenience_variable(name)
    return default if value is None else int(value)


def show_all_inlined():
    # A live gdb hides functions whose inlined code begins at the pc until they are stepped into; of a core it shows all.
    pc = int(gdb.parse_and_eval("$pc"))
    gdb.newest_frame().select()
    gdb.execute("set var $pc = %d" % (pc + 1), to_string=True)
    # NB: of another frame than the newest, $pc is what its callee saved on the stack.
    gdb.newest_frame().select()
    gdb.execute("set var $pc = %d" % pc, to_string=True)
    gdb.newest_frame().select()


def frames():
    result, stacks = [], []
    frame = gdb.newest_frame()
    while frame is not None and len(result) < MAX_FRAMES:
        sal = frame.find_sal()
        known = sal.symtab is not None and sal.line != 0
        entry = {
            "kind": KINDS.get(frame.type(), "other"),
            "pc": hex(frame.pc()),
            "function": frame.name(),
            "registers": {},
        }
        if known:
            entry["file"] = sal.symtab.filename
            entry["line"] = sal.line
        if entry["kind"] in ("normal", "signal"):
            for name in SAVED:
                value = frame.read_register(name)
                if not value.is_optimized_out:
                    entry["registers"][name] = hex(int(value) & (2**64 - 1))
            stacks.append(int(entry["registers"].get("rsp", "0x0"), 16))
        result.append(entry)
        try:
            frame = frame.older()
        except gdb.error:
            break
    return result, stacks


def stack_around(stacks):
    windows = []
    for i, rsp in enumerate(stacks):
        low, high = (rsp - 128, rsp + 1024) if i == 0 else (rsp - 1024, rsp + 256)
        windows.append((low, high))
    merged = []
    for low, high in sorted(windows):
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    inferior = gdb.selected_inferior()
    result = []
    for low, high in merged:
        while high > low:
            try:
                data = bytes(inferior.read_memory(low, high - low))
                result.append([hex(low), base64.b64encode(data).decode()])
                break
            except gdb.error:
                high -= 128
    return result


def globals_around():
    # Of these the call frame information of setjmp, longjmp and swapcontext speaks.
    result = []
    for name in ("place_of_jump", "here", "there"):
        try:
            value = gdb.parse_and_eval(name)
            data = bytes(gdb.selected_inferior().read_memory(int(value.address), value.type.sizeof))
            result.append([hex(int(value.address)), base64.b64encode(data).decode()])
        except gdb.error:
            pass
    return result


def in_program(pc, program):
    return gdb.solib_name(pc) is None and program[0] <= pc < program[1]


def run_back(program):
    frame = gdb.newest_frame()
    rsp = int(gdb.parse_and_eval("$rsp"))
    while frame is not None and not in_program(frame.pc(), program):
        frame = frame.older()
    if frame is None:
        return False
    gdb.execute("tbreak *%d if $rsp >= %d" % (frame.pc(), rsp - 65536), to_string=True)
    gdb.execute("continue", to_string=True)
    return True


def main():
    every, outside = number("every", 1), number("outside", 200)
    gdb.execute("break main", to_string=True)
    gdb.execute("run", to_string=True)
    gdb.execute("delete", to_string=True)
    gdb.execute("gcore " + gdb.convenience_variable("core").string(), to_string=True)
    text = gdb.execute("info proc mappings", to_string=True)
    name = gdb.current_progspace().filename
    rows = [line.split() for line in text.splitlines() if line.rstrip().endswith(name)]
    program = (min(int(row[0], 16) for row in rows), max(int(row[1], 16) for row in rows))
    foreign = 0
    count = 0
    with open(gdb.convenience_variable("dump").string(), "w") as out:
        while True:
            pc = int(gdb.parse_and_eval("$pc"))
            if count % every == 0:
                show_all_inlined()
                registers = {each: hex(int(gdb.parse_and_eval("$" + each)) & (2**64 - 1)) for each in NAMES}
                found, stacks = frames()
                line = {"registers": registers, "frames": found, "stack": stack_around(stacks) + globals_around()}
                out.write(json.dumps(line) + "\n")
            count += 1
            foreign = 0 if in_program(pc, program) else foreign + 1
            if foreign > outside:
                if not run_back(program):
                    break
                foreign = 0
            else:
                gdb.execute("stepi", to_string=True)
            if gdb.selected_thread() is None or not gdb.selected_thread().is_valid():
                return
            newest = gdb.newest_frame()
            if newest.name() in ("__libc_start_call_main", "exit", "__libc_start_main", "_start"):
                break
            if gdb.solib_name(newest.pc()) is not None and newest.older() is None:
                break
    gdb.execute("kill", to_string=True)


main()
