#include "server/range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Digits at *s, which goes behind them. Numbers beyond 64 bits are as good as the largest one: past any file's end. */
static bool read_number(const char **s, uint64_t *ret)
{
    uint64_t v = 0;
    const char *p = *s;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            v = UINT64_MAX;
    bool any = p != *s;
    *s = p;
    *ret = v;
    return any;
}

kn_range_kind kn_range_parse(const char *header, uint64_t file_size, kn_range *ret)
{
    uint64_t first = 0, last = 0;
    if (!header || strncasecmp(header, "bytes=", 6) != 0)
        return KN_RANGE_WHOLE;
    const char *s = header + 6;
    s += strspn(s, " \t");
    bool has_first = read_number(&s, &first);
    if (*s++ != '-')
        return KN_RANGE_WHOLE;
    bool has_last = read_number(&s, &last);
    s += strspn(s, " \t");
    if (*s || (!has_first && !has_last) || (has_first && has_last && last < first))
        return KN_RANGE_WHOLE;
    if (!has_first) { /* the last bytes */
        if (last == 0 || file_size == 0)
            return KN_RANGE_UNSATISFIABLE;
        uint64_t size = last < file_size ? last : file_size;
        *ret = (kn_range){file_size - size, size};
        return KN_RANGE_PART;
    }
    if (first >= file_size)
        return KN_RANGE_UNSATISFIABLE;
    if (!has_last || last >= file_size)
        last = file_size - 1;
    *ret = (kn_range){first, last - first + 1};
    return KN_RANGE_PART;
}
