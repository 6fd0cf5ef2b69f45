#include "models/common/trace.h"

#include <stdarg.h>
#include <stdio.h>

void kn_trace_tensor(const kn_trace *t, kn_tensor x, const char *fmt, ...)
{
    char name[96];
    if (!kn_trace_wanted(t) || kn_is_null(x))
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    t->fn(t->ud, name, x);
}
