# Dumps threads, frames and locals of a core as JSON, for comparison. Run by gdb; the output path is in $dump.
import json

import gdb

LIMIT = 64


def scalar(value, kind):
    if kind == gdb.TYPE_CODE_FLT:
        return {"float": value.format_string()}
    if kind == gdb.TYPE_CODE_PTR:
        return {"value": hex(int(value))}
    return {"value": str(int(value))}


def dump(value, depth=0):
    try:
        if value.is_optimized_out:
            return {"absent": "optimized out"}
        kind = value.type.strip_typedefs().code
        if kind in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            if depth > 6:
                return {"skipped": True}
            fields = value.type.strip_typedefs().fields()
            return {"fields": [[f.name, dump(value[f], depth + 1)] for f in fields]}
        if kind == gdb.TYPE_CODE_ARRAY:
            low, high = value.type.strip_typedefs().range()
            count = min(high - low + 1, LIMIT)
            return {"length": high - low + 1, "elements": [dump(value[low + i], depth + 1) for i in range(count)]}
        if kind in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_ENUM,
                    gdb.TYPE_CODE_FLT, gdb.TYPE_CODE_PTR):
            return scalar(value, kind)
        return {"skipped": True}
    except gdb.error as error:
        text = str(error)
        if "optimized out" in text:
            return {"absent": "optimized out"}
        if "integers of more than 8 bytes" in text:
            return {"skipped": True}
        return {"absent": text}


def symbols(frame):
    result = []
    try:
        block = frame.block()
    except RuntimeError:
        return result
    seen = set()
    while block is not None:
        for symbol in block:
            constant = symbol.addr_class in (gdb.SYMBOL_LOC_CONST, gdb.SYMBOL_LOC_CONST_BYTES)
            label = str(symbol.type) == "__CORE_ADDR"
            if label or not (symbol.is_variable or symbol.is_argument or constant):
                continue
            entry = {"name": symbol.name, "parameter": symbol.is_argument, "shadowed": symbol.name in seen}
            seen.add(symbol.name)
            entry["type"] = str(symbol.type)
            try:
                entry["value"] = dump(symbol.value(frame))
            except gdb.error as error:
                entry["value"] = {"absent": str(error)}
            result.append(entry)
        if block.function is not None:
            break
        block = block.superblock
    return result


def preserved(frame):
    if frame.architecture().name() == "aarch64":
        return ["x%d" % number for number in range(19, 30)] + ["sp", "pc"]
    return ["rbx", "rbp", "rsp", "r12", "r13", "r14", "r15", "rip"]


def frames():
    result = []
    frame = gdb.newest_frame()
    while frame is not None and len(result) < 200:
        sal = frame.find_sal()
        kinds = {gdb.NORMAL_FRAME: "normal", gdb.INLINE_FRAME: "inline", gdb.SIGTRAMP_FRAME: "signal",
                 gdb.TAILCALL_FRAME: "tailcall"}
        entry = {"kind": kinds.get(frame.type(), "other"), "pc": hex(frame.pc()), "function": frame.name()}
        if sal.symtab is not None:
            entry["file"] = sal.symtab.filename
            entry["line"] = sal.line
        registers = {}
        if frame.type() != gdb.INLINE_FRAME:
            for name in preserved(frame):
                value = frame.read_register(name)
                if not value.is_optimized_out:
                    registers[name] = hex(int(value) & (2**64 - 1))
        entry["registers"] = registers
        entry["locals"] = symbols(frame)
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
    path = gdb.convenience_variable("dump").string()
    with open(path, "w") as out:
        json.dump({"threads": threads}, out)


main()
