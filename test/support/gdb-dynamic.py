# The dynamic types of the pointers and references in a function's frame, as JSON: name to the type of the whole object and its address. The output path is
# in $dump, the name of the function in $function.
import json

import gdb

gdb.execute("set language c++")
frame = gdb.newest_frame()
while frame is not None and not (frame.name() or "").startswith(gdb.convenience_variable("function").string()):
    frame = frame.older()
found = {}
for symbol in frame.block():
    value = symbol.value(frame)
    kind = value.type.code
    if kind not in (gdb.TYPE_CODE_PTR, gdb.TYPE_CODE_REF) or value.is_optimized_out:
        continue
    target = value.type.target().strip_typedefs()
    if target.code != gdb.TYPE_CODE_STRUCT or (kind == gdb.TYPE_CODE_PTR and int(value) == 0):
        continue
    whole = value.cast(value.dynamic_type)
    address = int(whole) if kind == gdb.TYPE_CODE_PTR else int(whole.referenced_value().address)
    found[symbol.name] = [str(value.dynamic_type.target().unqualified()), hex(address)]
with open(gdb.convenience_variable("dump").string(), "w") as out:
    json.dump(found, out)
