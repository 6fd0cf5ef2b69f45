/* A thread that does something now and then. */
#ifndef KN_BASE_TICKER_H
#define KN_BASE_TICKER_H

#include "base/err.h"

typedef struct kn_ticker kn_ticker;

/* Calls fn(ud) at once, and again period_s after each call has returned. `what` is for the error's message: "the resource
 * monitor". */
int kn_ticker_start(double period_s, void (*fn)(void *ud), void *ud, const char *what, kn_ticker **ret,
                    kn_err *err);
/* Waits for a call that runs; accepts NULL. */
void kn_ticker_stop(kn_ticker *t);

#endif
