/* The public API over the engine.  kinora.h writes its values out so that it stands alone; here they are held equal
 * to the internal list: a code that is added to one and not to the other does not compile. */
#include "kinora/kinora.h"

#include "base/err.h"

#define SAME(name) _Static_assert((int)KINORA_##name == (int)KN_##name, "kinora.h differs from base/err.h")
SAME(EINVAL);
SAME(EFORMAT);
SAME(ENOTFOUND);
SAME(EIO);
SAME(ENOMEM);
SAME(EUNSUPPORTED);
SAME(ELIMIT);
SAME(EDEVICE);
SAME(EBUSY);
SAME(ECANCELLED);
SAME(EINTERNAL);

/* Codes count down from -1 without a gap, so the last one is their number. */
#define X(sym, value, http, exit_code, text) +1
_Static_assert(0 KN_ERR_LIST(X) == -(int)KINORA_EINTERNAL, "base/err.h has a code that kinora.h lacks");
#undef X

const char *kinora_version(void)
{
    return KN_VERSION;
}

const char *kinora_error_name(int code)
{
    return kn_err_name(code);
}

const char *kinora_error_text(int code)
{
    return kn_err_text(code);
}

int kinora_error_exit_code(int code)
{
    return kn_err_exit(code);
}
