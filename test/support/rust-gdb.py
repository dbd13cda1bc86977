# The variables of the program's frames as rustc's own providers for gdb show them, each as the list of its leaves in order: numbers, texts, names of
# variants. Run by gdb with those providers loaded; the output path is in $dump. What gdb cannot say it says: {"error": why}.
import json

import gdb

LEAVES = 5000


class Budget(Exception):
    pass


def leaves(value, out, nesting=0):
    if len(out) > LEAVES or nesting > 40:
        raise Budget("more than is compared")
    printer = gdb.default_visualizer(value)
    if printer is not None:
        shown(printer, out, nesting)
        return
    type = value.type.strip_typedefs()
    if type.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        fields = type.fields()
        # An enum with data: its tag, and the variant that it is.
        if len(fields) == 2 and fields[0].artificial:
            out.append("variant " + fields[1].name)
            fields = fields[1:]
        elif len(fields) == 1 and fields[0].name is not None and type.name is not None:
            if fields[0].type.name is not None and fields[0].type.name == type.name + "::" + fields[0].name:
                out.append("variant " + fields[0].name)
        for field in fields:
            leaves(value[field], out, nesting + 1)
    elif type.code == gdb.TYPE_CODE_ARRAY:
        low, high = type.range()
        for i in range(low, high + 1):
            leaves(value[i], out, nesting + 1)
    elif type.code == gdb.TYPE_CODE_PTR:
        out.append("pointer " + hex(int(value)))
    elif type.code == gdb.TYPE_CODE_ENUM:
        out.append("variant " + str(value).split("::")[-1])
    elif type.code == gdb.TYPE_CODE_BOOL:
        out.append("true" if int(value) != 0 else "false")
    elif type.code == gdb.TYPE_CODE_FLT:
        out.append(repr(float(value)))
    elif type.sizeof == 0:
        pass
    elif type.sizeof > 8:
        out.append(str(value))
    else:
        out.append(str(int(value)))


def shown(printer, out, nesting):
    children = getattr(printer, "children", None)
    text = printer.to_string()
    if children is None:
        if isinstance(text, gdb.Value):
            leaves(text, out, nesting + 1)
        else:
            # A lazy string.
            raw = b"" if text.length == 0 else gdb.selected_inferior().read_memory(text.address, text.length).tobytes()
            out.append("text " + raw.decode("utf-8", "replace"))
        return
    for _, child in children():
        leaves(gdb.Value(child), out, nesting + 1)


# gdb 13 ends by an internal error where an array has enums of several variants, and at what was not initialised.
DEADLY = ("shapes", "once_lock")


def symbols_of(frame):
    block = frame.block()
    while block is not None:
        for symbol in block:
            if symbol.is_variable and symbol.name not in DEADLY:
                yield symbol
        block = None if block.function is not None else block.superblock


def main():
    result = {}
    frame = gdb.newest_frame()
    while frame is not None:
        name = frame.name() or ""
        parts = name.split("::")
        if len(parts) == 3 and parts[0] == "rust_values" and parts[1] == parts[2]:
            for symbol in symbols_of(frame):
                out = []
                try:
                    leaves(frame.read_var(symbol), out)
                    result[parts[1] + "::" + symbol.name] = out
                except Exception as error:
                    result[parts[1] + "::" + symbol.name] = {"error": str(error)}
        frame = frame.older()
    with open(gdb.parse_and_eval("$dump").string(), "w") as file:
        json.dump(result, file)


main()
