# Dumps the frames of all threads of a core as JSON, as gdb's backtrace has them. Run by gdb; the output path is in $dump.
import json

import gdb

KINDS = {
    gdb.NORMAL_FRAME: "normal",
    gdb.INLINE_FRAME: "inline",
    gdb.SIGTRAMP_FRAME: "signal",
    gdb.TAILCALL_FRAME: "tailcall",
}
SAVED = ("rbx", "rbp", "rsp", "r12", "r13", "r14", "r15", "rip")
MAX_FRAMES = 20000


def registers(frame):
    result = {}
    if frame.type() in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
        return result
    for name in SAVED:
        try:
            value = frame.read_register(name)
            if not value.is_optimized_out:
                result[name] = hex(int(value) & (2**64 - 1))
        except gdb.error:
            pass
    return result


def frames():
    result = []
    frame = gdb.newest_frame()
    try:
        frame.pc()
    except gdb.error:
        return result
    while frame is not None and len(result) < MAX_FRAMES:
        entry = {"kind": KINDS.get(frame.type(), "other"), "pc": hex(frame.pc()), "function": frame.name()}
        sal = frame.find_sal()
        if sal.symtab is not None and sal.line != 0:
            entry["file"] = sal.symtab.filename
            entry["line"] = sal.line
        entry["registers"] = registers(frame)
        result.append(entry)
        try:
            frame = frame.older()
        except gdb.error:
            break
    return result


def main():
    threads = []
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        threads.append({"tid": thread.ptid[1], "frames": frames()})
    with open(gdb.convenience_variable("dump").string(), "w") as out:
        json.dump({"threads": threads}, out)


main()
