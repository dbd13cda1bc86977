# Dumps threads, frames and variables of a core as JSON, for comparison. Run by gdb; the output path is in $dump, how many pointers
# are followed in $depth, and whether globals and expressions are wanted in $more. What it cannot compare it says: {"skipped": why}.
import json

import gdb

ELEMENTS = 100
STRING = 1024
# Values of one variable, and of one thread with all its frames.
NODES = 3000
TOTAL = 60000
NESTING = 40
MASK = 2**64 - 1
CHARACTERS = ("char", "signed char", "unsigned char")




class Dumper:
    def __init__(self, depth):
        self.depth = depth
        self.nodes = 0
        self.total = 0

    def variable(self, value):
        self.nodes = 0
        return self.dump(value, self.depth, 0)

    def dump(self, value, depth, nesting):
        self.nodes += 1
        self.total += 1
        if self.nodes > NODES or self.total > TOTAL or nesting > NESTING:
            return {"skipped": "budget"}
        try:
            return self.plain(value, depth, nesting)
        except (gdb.error, OverflowError) as error:
            return self.failed(error)

    def failed(self, error):
        text = str(error)
        if "integers of more than 8 bytes" in text:
            return {"skipped": "gdb computes nothing of more than 8 bytes"}
        if "Unhandled DWARF expression opcode" in text:
            return {"skipped": "gdb does not know an operation of DWARF 5"}
        if "pointer math on incomplete types" in text:
            return {"skipped": "gdb does not step over arrays of variable length"}
        if "no such vector element" in text or "Cannot find thread-local variables on this target" in text:
            return {"skipped": text}
        return {"absent": "optimized out" if "optimized out" in text else text}

    def plain(self, value, depth, nesting):
        type = value.type.strip_typedefs()
        kind = type.code
        if kind in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            if type.sizeof == 0 and len(type.fields()) == 0:
                # An empty struct, or one that is only declared.
                return {"fields": []}
            # One that is missing altogether may not even tell its members' places.
            fields = [f for f in type.fields() if hasattr(f, "bitpos")]
            return {"fields": [[f.name, self.member(value, f, depth, nesting)] for f in fields]}
        if kind == gdb.TYPE_CODE_ARRAY:
            low, high = type.range()
            count = high - low + 1
            shown = min(count, ELEMENTS)
            return {"length": count, "elements": [self.element(value, low + i, depth, nesting) for i in range(shown)]}
        if kind in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
            return self.dump(value.referenced_value(), depth, nesting + 1)
        if value.is_optimized_out:
            return {"absent": "optimized out"}
        if kind == gdb.TYPE_CODE_PTR:
            return self.pointer(value, type, depth, nesting)
        if kind == gdb.TYPE_CODE_FLT:
            return self.floating("float", value.format_string())
        if kind == gdb.TYPE_CODE_COMPLEX:
            return self.floating("complex", value.format_string())
        if kind == gdb.TYPE_CODE_ENUM:
            return {"value": str(int(value)), "enumerator": value.format_string()}
        if kind in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_BOOL):
            if type.sizeof > 8:
                unsigned = "unsigned" in type.name
                return {"value": value.format_string(format="u" if unsigned else "d")}
            return {"value": str(int(value))}
        if kind == gdb.TYPE_CODE_FUNC:
            return {"function": symbol_of(value.format_string())}
        if kind == gdb.TYPE_CODE_ERROR:
            return {"absent": "error type"}
        if kind == gdb.TYPE_CODE_VOID:
            return {"void": True}
        return {"skipped": "type code %d: %s" % (kind, type)}

    def floating(self, key, text):
        return {"absent": text} if "invalid float value" in text else {key: text}

    def member(self, value, field, depth, nesting):
        try:
            return self.dump(value[field], depth, nesting + 1)
        except gdb.error as error:
            return self.failed(error)

    def element(self, value, index, depth, nesting):
        try:
            return self.dump(value[index], depth, nesting + 1)
        except gdb.error as error:
            return self.failed(error)

    def pointer(self, value, type, depth, nesting):
        if value.format_string() == "<synthetic pointer>":
            # NB: gdb would give 0 for its number.
            result = {"absent": "synthetic pointer"}
            if depth > 0:
                result["target"] = self.dump(value.dereference(), depth - 1, nesting + 1)
            return result
        address = int(value) & MASK
        result = {"value": hex(address)}
        target = type.target().strip_typedefs()
        if address == 0:
            return result
        if target.code == gdb.TYPE_CODE_FUNC:
            result["function"] = symbol_of(value.format_string())
        elif target.code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR) and target.unqualified().name in CHARACTERS:
            result["string"] = string_at(address)
        elif depth > 0 and target.code not in (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_METHOD) and target.sizeof > 0:
            result["target"] = self.dump(value.dereference(), depth - 1, nesting + 1)
        return result


def symbol_of(text):
    start = text.find("<")
    return text[start + 1 : text.rfind(">")] if start >= 0 else None


def string_at(address):
    inferior = gdb.selected_inferior()
    data = b""
    while len(data) < STRING:
        # Never over the end of a page, which may be the last one that is there.
        wanted = min(STRING - len(data), 4096 - (address + len(data)) % 4096)
        try:
            data += bytes(inferior.read_memory((address + len(data)) & MASK, wanted))
        except gdb.error:
            break
        if b"\0" in data:
            return {"bytes": data[: data.index(b"\0")].hex()}
    return {"bytes": data.hex(), "cut": True}


def symbols(block, dumper, frame, seen):
    result = []
    for symbol in block:
        constant = symbol.addr_class in (gdb.SYMBOL_LOC_CONST, gdb.SYMBOL_LOC_CONST_BYTES)
        label = str(symbol.type) == "__CORE_ADDR"
        if label or is_enumerator(symbol) or not (symbol.is_variable or symbol.is_argument or constant):
            continue
        entry = {"name": symbol.name, "parameter": symbol.is_argument, "shadowed": symbol.name in seen}
        seen.add(symbol.name)
        entry["type"] = type_name(symbol.type)
        try:
            value = symbol.value(frame)
            entry["memory"] = value.address is not None
            entry["value"] = dumper.variable(value)
        except gdb.error as error:
            entry["value"] = dumper.failed(error)
        result.append(entry)
    return result


# A constant of an enum that is declared in the block.
def is_enumerator(symbol):
    type = symbol.type.strip_typedefs()
    return (
        symbol.addr_class == gdb.SYMBOL_LOC_CONST
        and type.code == gdb.TYPE_CODE_ENUM
        and any(field.name == symbol.name for field in type.fields())
    )


def type_name(type):
    # str() would write out an anonymous struct; only a value's printed type says what whatis does.
    text = str(type)
    return text if "{" not in text else None


def locals_of(frame, dumper):
    result = []
    # NB: gdb follows a synthetic pointer in the frame that is selected.
    frame.select()
    # The lengths of arrays are those of the selected frame.
    frame.select()
    try:
        block = frame.block()
    except RuntimeError:
        return result
    seen = set()
    while block is not None:
        result += symbols(block, dumper, frame, seen)
        if block.function is not None:
            break
        block = block.superblock
    return result


def globals_of(frame, dumper):
    try:
        block = frame.block()
    except RuntimeError:
        return []
    result = []
    for scope in (block.static_block, block.global_block):
        for symbol in scope:
            # NB: gdb has no file and no initial value for declarations.
            if symbol.is_variable and symbol.symtab is not None and len(result) < 100:
                result += symbols([symbol], dumper, frame, set())
    return result


# Expressions of every variable: what eval is asked, and what gdb says to the same text.
def expressions_of(frame, variables, dumper):
    asked = []
    # Innermost first; the rest would be more of the same.
    for entry in variables:
        if entry["shadowed"] or not entry["name"].isidentifier():
            continue
        texts = list(spellings(entry["name"], entry["value"]))
        if not entry.get("memory", False) and ("fields" in entry["value"] or "elements" in entry["value"]):
            # NB: gdb 13 fails an assertion when it calculates with parts of an object in pieces.
            texts = [text for text in texts if not text.startswith(("*", "&")) and "+" not in text and "@" not in text]
        asked += texts
    frame.select()
    answers = []
    for text in asked[:150]:
        try:
            value = gdb.parse_and_eval(text.replace("@@", "@"))
            answer = dumper.variable(value)
        except gdb.error as error:
            answer = dumper.failed(error)
        answers.append([text, answer])
    return answers


def spellings(name, value):
    yield name
    yield "sizeof(%s)" % name
    if "fields" in value:
        for field, inner in value["fields"][:12]:
            if field:
                yield "%s.%s" % (name, field)
                if "elements" in inner and inner["elements"]:
                    yield "%s.%s[%d]" % (name, field, len(inner["elements"]) - 1)
                if "value" in inner and "target" not in inner:
                    yield "%s.%s + 1" % (name, field)
        yield "&%s" % name
    elif "elements" in value:
        count = len(value["elements"])
        if count > 0:
            yield "%s[0]" % name
            yield "%s[%d]" % (name, count - 1)
            yield "*%s" % name
            yield "%s + 1" % name
            yield "&%s[%d]" % (name, count - 1)
        # NB: of a pointer or an array its @ takes more of the same; ours takes what they lead to.
        if count > 2 and not value["elements"][1].get("value", "0x").startswith("0x"):
            yield "%s[1]@2" % name
    elif "target" in value or "string" in value:
        yield "*%s" % name
        yield "%s[1]" % name
        yield "%s + 1" % name
        yield "!%s" % name
        for field, _ in value.get("target", {}).get("fields", [])[:6]:
            if field:
                yield "%s->%s" % (name, field)
        yield "(long)%s" % name
        yield "(char *)%s" % name
    elif "value" in value:
        for form in ("-%s", "~%s", "%s * 3", "%s / 7", "%s %% 5", "%s << 2", "%s >> 1", "%s > 0", "%s == 1 || %s",
                     "(unsigned char)%s", "(long)%s", "(short)%s", "&%s"):
            yield form.replace("%s", name).replace("%%", "%")
    elif "float" in value:
        # NB: its -x is 0 - x, which has no negative zero.
        for form in ("%s * 2", "%s + 1", "(int)%s", "(float)%s", "%s > 0"):
            yield form.replace("%s", name)


def preserved(frame):
    if frame.architecture().name() == "aarch64":
        return ["x%d" % number for number in range(19, 30)] + ["sp", "pc"]
    return ["rbx", "rbp", "rsp", "r12", "r13", "r14", "r15", "rip"]


def frames(dumper, more):
    result = []
    frame = gdb.newest_frame()
    globals_seen = set()
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
                    registers[name] = hex(int(value) & MASK)
        entry["registers"] = registers
        entry["locals"] = locals_of(frame, dumper)
        if more and len(entry["locals"]) > 0:
            entry["expressions"] = expressions_of(frame, entry["locals"], dumper)
            if sal.symtab is not None and sal.symtab.filename not in globals_seen:
                globals_seen.add(sal.symtab.filename)
                entry["globals"] = globals_of(frame, dumper)
        result.append(entry)
        try:
            frame = frame.older()
        except gdb.error:
            break
    return result


def number(name):
    value = gdb.convenience_variable(name)
    return 0 if value is None else int(value)


def main():
    threads = []
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        dumper = Dumper(number("depth"))
        threads.append({"tid": thread.ptid[1], "frames": frames(dumper, number("more") != 0)})
    path = gdb.convenience_variable("dump").string()
    with open(path, "w") as out:
        json.dump({"threads": threads}, out)


main()
