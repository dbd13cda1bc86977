# What gdb knows of a program's symbols, as JSON; driven by gdb-symbols.ts through $ask and $answer.
import gdb
import json


def breakpoints(specs):
    found = {}
    for spec in specs:
        try:
            point = gdb.Breakpoint(spec, internal=True)
            found[spec] = sorted(set(int(each.address) for each in point.locations))
            point.delete()
        except gdb.error as error:
            found[spec] = str(error)
    return found


def is_variable(symbol):
    # Labels have no type.
    classes = (gdb.SYMBOL_LOC_TYPEDEF, gdb.SYMBOL_LOC_LABEL, gdb.SYMBOL_LOC_BLOCK)
    return symbol.type is not None and symbol.addr_class not in classes


def scopes(addresses):
    found = []
    for pc in addresses:
        sal = gdb.find_pc_line(pc)
        levels = []
        names = []
        try:
            block = gdb.block_for_pc(pc)
        except RuntimeError:
            block = None
        while block is not None and not block.is_global and not block.is_static:
            names += [[each.name, each.is_argument] for each in block if is_variable(each)]
            if block.function is not None:
                levels.append({'function': block.function.name, 'variables': names})
                names = []
            block = block.superblock
        file = sal.symtab.fullname() if sal.symtab else None
        found.append({'file': file, 'line': sal.line, 'levels': levels})
    return found


def layout(name):
    type = gdb.lookup_type(name).strip_typedefs()
    fields = []
    for field in type.fields():
        at = field.bitpos if hasattr(field, 'bitpos') else field.enumval
        fields.append([field.name, at, field.bitsize])
    return {'size': type.sizeof, 'fields': fields}


def layouts(names):
    found = {}
    for name in names:
        try:
            found[name] = layout(name)
        except gdb.error as error:
            found[name] = str(error)
    return found


gdb.execute('set pagination off')
gdb.execute('set breakpoint pending off')
ask = json.load(open(gdb.convenience_variable('ask').string()))
kinds = {'breakpoints': breakpoints, 'scopes': scopes, 'layouts': layouts}
answer = kinds[ask['kind']](ask['items'])
json.dump(answer, open(gdb.convenience_variable('answer').string(), 'w'))
