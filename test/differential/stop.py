# Runs a program under gdb and writes cores of it at places that a seed chooses. $seed, $count, $prefix of the cores; run by gdb.
import random

import gdb

MAX_STOPS = 40


def addresses():
    """Places with a line of the program's own sources."""
    found = []
    names = {symtab.filename for symtab in own_symtabs()}
    for name in sorted(names):
        for symtab in own_symtabs():
            if symtab.filename == name:
                found += [row.pc for row in symtab.linetable() if row.line > 0]
                break
    return sorted(set(found))


def own_symtabs():
    main = gdb.lookup_global_symbol("main")
    seen = [main.symtab] if main is not None and main.symtab is not None else []
    frame = gdb.selected_frame()
    if frame.find_sal().symtab is not None:
        seen.append(frame.find_sal().symtab)
    return seen


def alive():
    return gdb.selected_inferior().pid != 0


def quietly(command):
    try:
        gdb.execute(command, to_string=True)
        return True
    except gdb.error:
        return False


def main():
    number = lambda name: int(gdb.convenience_variable(name))
    chance = random.Random(number("seed"))
    prefix = gdb.convenience_variable("prefix").string()
    quietly("set pagination off")
    quietly("set confirm off")
    gdb.Breakpoint("main", temporary=True)
    quietly("run > /dev/null < /dev/null")
    if not alive():
        return
    places = addresses()
    for pc in chance.sample(places, min(len(places), 16)):
        # Each place once: one in a loop would take all of the stops.
        gdb.Breakpoint("*%d" % pc, temporary=True)
    taken = 0
    for _ in range(MAX_STOPS):
        if not quietly("continue") or not alive():
            break
        if gdb.selected_frame().name() in ("fill", "keep"):
            continue
        # Often in the middle of a line, where locations begin and end.
        if chance.random() < 0.6:
            quietly("stepi %d" % chance.randrange(1, 12))
            if not alive():
                break
        if chance.random() < 0.5 or taken == 0:
            if quietly("gcore %s.%d" % (prefix, taken)):
                taken += 1
            if taken >= number("count"):
                break
    if alive():
        quietly("kill")


main()
