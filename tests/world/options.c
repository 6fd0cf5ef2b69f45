/* Options of a command: "--name value", or "--name" alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "world/commands.h"

static int read_number(const world_option *o, const char *text, kn_err *err)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < o->min || v > o->max)
        return kn_fail(err, KN_EINVAL, "%s %s: expected a number from %ld to %ld", o->name, text, o->min,
                       o->max);
    *o->number = v;
    return 0;
}

int world_options_read(int argc, char **argv, const world_option *options, kn_err *err)
{
    for (int i = 1; i < argc; i++) {
        const world_option *o = options;
        while (o->name && strcmp(o->name, argv[i]) != 0)
            o++;
        if (!o->name)
            return kn_fail(err, KN_EINVAL, "%s has no option '%s'", argv[0], argv[i]);
        if (o->flag) {
            *o->flag = true;
            continue;
        }
        if (++i == argc)
            return kn_fail(err, KN_EINVAL, "%s: its value is missing", o->name);
        if (o->text)
            *o->text = argv[i];
        else if (read_number(o, argv[i], err))
            return err->code;
    }
    return 0;
}
