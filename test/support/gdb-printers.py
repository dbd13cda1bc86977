# What gdb's printers of libstdc++ show of the locals of some functions of a core, as JSON, for comparison with our views: the output path is in $dump,
# names of functions are in $functions. Each value is one of: a number or text; {"text"}, {"list"}, {"map"}, {"fields"}, {"held"}, {"pointer"}, {"skipped"}.
import json
import re

import gdb

NODES = 200


def base_name(value):
    name = value.type.strip_typedefs().unqualified().tag or ""
    return re.sub(r"^std::(__cxx11::)?", "std::", name.split("<")[0])


def text_of(printer):
    shown = printer.to_string()
    return shown.value().string(length=shown.length) if hasattr(shown, "value") else str(shown)


def wide_text(value):
    # gdb reads strings of wide characters by the host's idea of them: their units are taken one by one.
    pointer = value["_M_dataplus"]["_M_p"]
    if value.type.sizeof > 8:
        length = int(value["_M_string_length"])
    else:
        # Of the ABI before gcc 5 the length stands before the characters.
        length = int.from_bytes(gdb.selected_inferior().read_memory(int(pointer) - 24, 8), "little")
    size = pointer.dereference().type.sizeof
    units = [int(pointer[i]) for i in range(length)]
    raw = b"".join(unit.to_bytes(size, "little") for unit in units)
    return raw.decode("utf-16-le" if size == 2 else "utf-32-le")


def held(printer):
    return None if printer.contained_value is None else dump(printer.contained_value)


def pairs(printer):
    flat = [dump(child) for _, child in printer.children()]
    return [[flat[i], flat[i + 1]] for i in range(0, len(flat) - 1, 2)]


def listed(printer):
    values = []
    for _, child in printer.children():
        values.append(dump(child) if isinstance(child, gdb.Value) else int(child))
        if len(values) >= NODES:
            break
    return values


def viewed(value, printer):
    name = base_name(value)
    if name == "std::basic_string" and value.type.template_argument(0).sizeof > 1:
        return {"text": wide_text(value)}
    if name in ("std::basic_string", "std::basic_string_view"):
        return {"text": text_of(printer)}
    if name in ("std::optional", "std::variant", "std::any"):
        return {"held": held(printer)}
    if name in ("std::unique_ptr", "std::shared_ptr", "std::weak_ptr"):
        pointer = [child for _, child in printer.children()][0]
        counts = re.search(r"use count (\d+), weak count (\d+)", str(printer.to_string() or ""))
        return {"pointer": hex(int(pointer)), "counts": [int(each) for each in counts.groups()] if counts else None}
    if name == "std::tuple":
        return {"fields": [dump(child) for _, child in printer.children()]}
    if name == "std::pair":
        return {"fields": [dump(child) for _, child in printer.children()]}
    if name == "std::bitset":
        return {"set": [int(re.sub(r"\D", "", label)) for label, _ in printer.children()]}
    if name == "std::atomic":
        return {"shown": re.search(r"= \{ (.*) \}$", str(printer.to_string())).group(1)}
    if hasattr(printer, "display_hint") and printer.display_hint() == "map":
        return {"map": pairs(printer)}
    return {"list": listed(printer)}


def dump(value):
    type = value.type.strip_typedefs()
    if type.code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
        return dump(value.referenced_value())
    if re.match(r"std::filesystem::(__cxx11::)?path$", type.unqualified().tag or ""):
        return dump(value["_M_pathname"])
    printer = gdb.default_visualizer(value)
    if printer is not None:
        return viewed(value, printer)
    if type.code == gdb.TYPE_CODE_ARRAY:
        low, high = type.range()
        return {"list": [dump(value[i]) for i in range(low, min(high, low + NODES) + 1)]}
    if type.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        return {"fields": [dump(value[field]) for field in type.fields() if hasattr(field, "bitpos")]}
    if type.code == gdb.TYPE_CODE_BOOL:
        return "true" if value else "false"
    if type.code == gdb.TYPE_CODE_FLT:
        return float(value)
    if type.code == gdb.TYPE_CODE_PTR:
        return hex(int(value))
    return str(int(value))


def locals_of(frame):
    found = {}
    block = frame.block()
    while block is not None and not block.is_global:
        for symbol in block:
            if symbol.is_variable or symbol.is_argument:
                try:
                    found[symbol.name] = dump(symbol.value(frame))
                except (gdb.error, RuntimeError, ValueError, NotImplementedError, AttributeError) as error:
                    found[symbol.name] = {"skipped": str(error)}
        if block.function:
            break
        block = block.superblock
    return found


# The innermost frame is of C, in whose spelling gdb finds no template.
gdb.execute("set language c++")
wanted = gdb.convenience_variable("functions").string().split(",")
result = {}
frame = gdb.newest_frame()
while frame is not None:
    name = re.sub(r"\(.*", "", frame.name() or "")
    if name in wanted:
        result[name] = locals_of(frame)
    frame = frame.older()
with open(gdb.convenience_variable("dump").string(), "w") as out:
    json.dump(result, out)
