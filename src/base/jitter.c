#include "base/jitter.h"

#include <sys/random.h>

int64_t kn_jitter(int64_t ms)
{
    uint16_t r = 0;
    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
        return ms;
    return ms * 3 / 4 + ms * r / (2 * 65536);
}
